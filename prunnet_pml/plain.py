"""Taking out of a prunable network everything that prunnet_pml put in."""

from __future__ import annotations

from torch import nn

from prunnet_pml.checkpoint import Prunable
from prunnet_pml.class_exchange import restore_class
from prunnet_pml.layers import ScoredLayer, remove_scores
from prunnet_pml.norms import CapacityNorm, remove_sets
from prunnet_pml.space import remove_stamps
from prunnet_pml.units.layers import UnitLayer, remove_unit_scores
from prunnet_pml.units.scoring import forget_units


def make_plain(model: nn.Module) -> nn.Module:
    """Turns a prunable network into one of its original classes, in place.

    Weights and norm statistics are those of the capacity that it computes at; hidden units are all
    still there.

    Args:
        model: A prunable network, or a bigger module with one inside.

    Returns:
        ``model`` itself.
    """
    remove_stamps(model)
    for module in model.modules():
        forget_units(module)
        if isinstance(module, UnitLayer):
            remove_unit_scores(module)
        elif isinstance(module, ScoredLayer):
            remove_scores(module)
        elif isinstance(module, CapacityNorm):
            remove_sets(module)
        elif isinstance(module, Prunable):
            restore_class(module)
    return model
