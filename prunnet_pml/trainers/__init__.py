"""Trainers of pytorch-metric-learning that train every capacity."""

from prunnet_pml.trainers.capacity_loss_tracker import CapacityLossTracker
from prunnet_pml.trainers.prunable_metric_loss_only import PrunableMetricLossOnly
from prunnet_pml.trainers.prunable_trainer_mixin import PrunableTrainerMixin

__all__ = ["CapacityLossTracker", "PrunableMetricLossOnly", "PrunableTrainerMixin"]
