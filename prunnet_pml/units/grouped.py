"""Grouped convolutions: they lose whole groups, so what enters and leaves a group is one unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from prunnet_pml.units.groups import Cut, UnitGroup


def join_grouped_convolutions(model: nn.Module, groups: Sequence[UnitGroup]) -> list[UnitGroup]:
    """Joins the channels before and after every grouped convolution to units of a whole group.

    A depthwise convolution needs nothing: its channels are one group of layers already.

    Args:
        model: A plain network.
        groups: Hidden channels of it, each a unit.

    Returns:
        The groups, fewer where some were joined; without those that a grouped convolution ties to
        channels that are not hidden.
    """
    entering = {
        reader.name: group
        for group in groups
        for reader in group.readers
        if _is_grouped(model, reader.name)
    }
    return [
        joined
        for group in groups
        if group not in entering.values() and (joined := _joined(model, group, entering))
    ]


def _joined(model: nn.Module, group: UnitGroup, entering: dict[str, UnitGroup]) -> UnitGroup | None:
    tied = [cut.name for cut in group.cuts if cut.side == "out" and _is_grouped(model, cut.name)]
    if not tied:
        return group
    if not all(name in entering for name in tied):
        return None
    parts = [group, *(entering[name] for name in tied)]
    counts = {_groups(model, name) for name in tied}
    units = counts.pop()
    if counts or any(part.units % units for part in parts):
        return None
    cuts = tuple(
        Cut(cut.name, cut.side, cut.parts, cut.size * (part.units // units))
        for part in parts
        for cut in part.cuts
        if cut.side != "in" or cut.name not in tied  # its inputs go with its groups
    )
    readers = {cut.name for cut in group.readers}
    return UnitGroup(units, cuts, tuple(c for c in cuts if c.side == "in" and c.name in readers))


def _is_grouped(model: nn.Module, name: str) -> bool:
    """Whether a layer is a convolution with groups of several channels."""
    module: Any = model.get_submodule(name)
    return _groups(model, name) not in (1, getattr(module, "out_channels", 1))


def _groups(model: nn.Module, name: str) -> int:
    return int(getattr(model.get_submodule(name), "groups", 1))
