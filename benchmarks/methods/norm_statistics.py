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

Norms = Literal["calibrated", "own", "interpolated", "dense"]


def read(model: nn.Module, task: Task, capacities: Iterable[float], norms: Norms) -> Family:
    """The networks of some capacities.

    Args:
        model: A trained prunable network; it stays as it is.
        task: Gives the images to calibrate with.
        capacities: Trained or not, 1.0 first.
        norms: ``"calibrated"``: exact ones of every capacity, the dense network among them, as one
            ``calibrate`` after training leaves them in the checkpoint. ``"own"``: a trained
            capacity's running averages, others interpolated between their neighbours'.
            ``"interpolated"``: those between the neighbours', as if the capacity had none of its
            own; the smallest trained one, which has no lower neighbour, keeps them. ``"dense"``:
            the dense network's. Below the smallest trained capacity they are calibrated always.
    """
    smallest = min(trained_capacities(model))
    chosen = list(capacities)
    calibrated = copy.deepcopy(model)
    if exact := [c for c in chosen if norms == "calibrated" or c < smallest]:
        prunnet.calibrate(calibrated, task.calibration_images(), exact)
    family = {}
    for capacity in chosen:
        source = model
        if capacity in exact:
            source = calibrated
        elif capacity < 1 and (
            norms == "dense" or (norms == "interpolated" and capacity > smallest)
        ):
            source = _without_own(model, capacity, norms)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", prunnet.InterpolationWarning)  # it is what is measured
            family[capacity] = prunnet.prune(source, capacity)
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
