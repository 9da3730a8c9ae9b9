"""Embedding networks that prune to any capacity, every subnetwork compatible with every other."""

from prunnet_pml import datasets, evaluation, integration, losses, miners, trainers
from prunnet_pml.budgets import Budget, capacity_for
from prunnet_pml.calibration import calibrate
from prunnet_pml.evaluation import CompatibilityMatrix, evaluate
from prunnet_pml.integration import ConflictAware, Mean, PCGrad, Sum
from prunnet_pml.interpolation_warning import InterpolationWarning
from prunnet_pml.losses import CompatibleLoss
from prunnet_pml.network import (
    capacity,
    get_capacity,
    is_prunable,
    make_prunable,
    reset_scores,
    score_parameters,
    scored_layers,
    set_capacity,
    trained_capacities,
)
from prunnet_pml.optimizer import ConflictAwareOptimizer
from prunnet_pml.pruning import prune
from prunnet_pml.space import set_space_id, space_id
from prunnet_pml.space_of_file import read_space_id
from prunnet_pml.units import apply_kept_units, hidden_units, kept_units

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "CompatibilityMatrix",
    "CompatibleLoss",
    "ConflictAware",
    "ConflictAwareOptimizer",
    "InterpolationWarning",
    "Mean",
    "PCGrad",
    "Sum",
    "apply_kept_units",
    "calibrate",
    "capacity",
    "capacity_for",
    "datasets",
    "evaluate",
    "evaluation",
    "get_capacity",
    "hidden_units",
    "integration",
    "is_prunable",
    "kept_units",
    "losses",
    "make_prunable",
    "miners",
    "prune",
    "read_space_id",
    "reset_scores",
    "score_parameters",
    "scored_layers",
    "set_capacity",
    "set_space_id",
    "space_id",
    "trained_capacities",
    "trainers",
]
