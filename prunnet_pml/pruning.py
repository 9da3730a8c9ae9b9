"""``prune``: a plain network out of a prunable one."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from prunnet_pml.budgets import Budget, largest_capacity
from prunnet_pml.calibration import calibrate
from prunnet_pml.given_network import unwrapped
from prunnet_pml.interpolation_warning import statistics_owners, warn_of_interpolation
from prunnet_pml.masks import check_capacity
from prunnet_pml.network import scored_layers, set_capacity
from prunnet_pml.norms import check_norms
from prunnet_pml.plain import make_plain
from prunnet_pml.units.kept import apply_kept_units, kept_units
from prunnet_pml.units.scoring import has_units


@torch.inference_mode(False)  # masks are cached by the version of a tensor: one in it has none
def prune(
    model: nn.Module,
    capacity: float | None = None,
    calibration: Iterable[Any] | None = None,
    *,
    budget: Budget | None = None,
) -> nn.Module:
    """The subnetwork of one capacity as a network of its own.

    Args:
        model: A prunable network, or one in DDP or ``torch.compile``. It stays as it is.
        capacity: In (0, 1]; trained or not.
        calibration: A loader to take exact norm statistics from. Without it a trained capacity has
            its own, or ``calibrate`` has given others some; any other one interpolates, with a
            warning.
        budget: Instead of a capacity: the largest one within it, see :func:`capacity_for`.

    Returns:
        A new network of the original classes (plain ``nn.Conv2d``, timm's own model class) in eval
        mode, equal to ``model`` read at this capacity. Pruned weights are zero in it; of
        granularity "channel" it is smaller by the pruned units.

    Raises:
        ValueError: If ``capacity`` is not in (0, 1], ``model`` is not prunable, its smallest
            subnetwork is beyond ``budget``, or both capacity and budget are given.
    """
    model = unwrapped(model)
    if budget is not None:
        if capacity is not None:
            raise ValueError(f"`capacity` should be left out with a budget. Found {capacity!r}.")
        capacity = largest_capacity(model, budget)
    capacity = check_capacity(capacity)
    scored_layers(model)  # refuses a plain network
    check_norms(model)
    if not (calibration is None or isinstance(calibration, Iterable)):
        raise ValueError(f"`calibration` should be a loader of images. Found {calibration!r}.")
    pruned = copy.deepcopy(model)
    set_capacity(pruned, capacity)
    if calibration is not None:
        calibrate(pruned, calibration, [capacity])
    else:
        remedy = "Give `calibration` a loader of training images, or calibrate the network before."
        warn_of_interpolation([capacity], statistics_owners(model), remedy)
    kept = kept_units(pruned, capacity) if has_units(pruned) else None
    make_plain(pruned)
    return (apply_kept_units(pruned, kept) if kept else pruned).eval()
