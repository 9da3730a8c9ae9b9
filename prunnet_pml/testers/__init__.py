"""Testers that fill the compatibility matrix, for the hooks of pytorch-metric-learning."""
