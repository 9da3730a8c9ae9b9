"""Trainers of pytorch-metric-learning that train every capacity."""
