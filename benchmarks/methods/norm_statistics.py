"""Reading the capacities of a trained network with one choice of norm statistics or another."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from typing import Literal

from torch import nn

import prunnet_pml as prunnet
from methods.method import Family
from prunnet_pml.network import trained_capacities
from prunnet_pml.norms import STATISTICS, CapacityNorm
from tasks import Task

Norms = Literal["own", "dense", "calibrated", "interpolated"]


def read(model: nn.Module, task: Task, capacities: Iterable[float], norms: Norms) -> Family:
    """The networks of some capacities.

    Args:
        model: A trained prunable network; it stays as it is.
        task: Gives the images to calibrate with.
        capacities: Trained or not, 1.0 first.
        norms: ``"own"``: a trained capacity's own statistics, others interpolated between their
            neighbours', and calibrated below the smallest. ``"dense"``: the dense network's.
            ``"calibrated"``: exact ones. ``"interpolated"``: those between the neighbours', as if
            the capacity had none of its own.
    """
    smallest = min(trained_capacities(model))
    images = task.calibration_images()
    family = {}
    for capacity in capacities:
        source, calibration = model, None
        if capacity < 1 and (norms == "calibrated" or (norms == "own" and capacity < smallest)):
            calibration = images
        elif capacity < 1 and norms in ("dense", "interpolated"):
            source = _without_own(model, capacity, norms)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # below the smallest: as asked
            family[capacity] = prunnet.prune(source, capacity, calibration)
    return family


def _without_own(model: nn.Module, capacity: float, norms: Norms) -> nn.Module:
    """A copy where a capacity has no statistics of its own, or the dense network's."""
    model = copy.deepcopy(model)
    for norm in (module for module in model.modules() if isinstance(module, CapacityNorm)):
        if norms == "interpolated" and capacity in norm.set_capacities:
            norm.drop_set(capacity)
        elif norms == "dense":
            if capacity not in norm.set_capacities:
                norm.own_set(capacity)
            for name in STATISTICS:
                norm._set_of(name, capacity).copy_(norm._set_of(name, 1.0))
    return model
