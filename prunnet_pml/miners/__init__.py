"""Miners that look across capacities, for any loss of pytorch-metric-learning."""
