"""Cutting units out of a plain network: smaller tensors in modules of the same classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from prunnet_pml.units.groups import Cut, UnitGroup

_SIZES = {
    "out": ("out_channels", "out_features", "num_features"),
    "in": ("in_channels", "in_features"),
}
"""What modules call the sizes of their tensors."""


@torch.no_grad()
def remove_units(model: nn.Module, group: UnitGroup, kept: Sequence[int]) -> None:
    """Leaves the kept units of a group and cuts the others out, in place.

    Args:
        model: A plain network with all units of the group.
        group: Of ``model``.
        kept: Units to keep, in ascending order.
    """
    for cut in group.cuts:
        holder_name, _, leaf = cut.name.rpartition(".")
        holder: Any = model.get_submodule(holder_name)
        if cut.side == "number":
            setattr(holder, leaf, getattr(holder, leaf) // group.units * len(kept))
        elif leaf in holder._modules:
            _cut_module(holder._modules[leaf], cut, group.units, kept)
        else:
            _cut_tensor(holder, leaf, 0 if cut.side == "out" else 1, cut.indices(group.units, kept))


def check_units(model: nn.Module, groups: Iterable[UnitGroup], name: str) -> None:
    """Raises ValueError where units can't be cut out of a plain network; ``name`` is theirs."""
    for group in groups:
        for cut in group.cuts:
            expected, found = cut.parts * cut.size * group.units, entries(model, cut)
            fits = found % group.units == 0 if cut.side == "number" and found else expected == found
            if not fits:
                raise ValueError(
                    f"`{name}` should be of {type(model).__name__}: `{cut.name}` should have "
                    f"{expected} entries on side {cut.side!r}. Found {found}."
                )


def entries(model: nn.Module, cut: Cut) -> int:
    """How many entries there are where a cut is made; 0 if nothing in the network fits it."""
    holder_name, _, leaf = cut.name.rpartition(".")
    try:
        holder: Any = model.get_submodule(holder_name)
    except AttributeError:
        return 0
    if cut.side == "number":
        count = vars(holder).get(leaf)
        return count if type(count) is int else 0
    if (module := holder._modules.get(leaf)) is not None:
        if not isinstance(module, nn.Conv2d | nn.Linear | _NormBase):
            return 0
        names = [name for name in _SIZES[cut.side] if hasattr(module, name)]
        return int(getattr(module, names[0])) if names else 0
    tensor, axis = _tensor(holder, leaf), 0 if cut.side == "out" else 1
    return int(tensor.shape[axis]) if tensor is not None and tensor.dim() > axis else 0


def _cut_module(module: Any, cut: Cut, units: int, kept: Sequence[int]) -> None:  # noqa: ANN401
    """Cuts every tensor of a layer or norm, and corrects the sizes that it states."""
    indices = cut.indices(units, kept)
    axis = 0 if cut.side == "out" else 1
    for leaf in [*module._parameters, *module._buffers]:
        tensor = _tensor(module, leaf)
        if tensor is not None and tensor.dim() > axis:
            _cut_tensor(module, leaf, axis, indices)
    for size in _SIZES[cut.side]:
        if hasattr(module, size):
            setattr(module, size, len(indices))
    if cut.side == "out" and getattr(module, "groups", 1) > 1:  # whole groups, with their inputs
        module.in_channels = module.in_channels // units * len(kept)
        module.groups = module.groups // units * len(kept)


def _cut_tensor(holder: nn.Module, leaf: str, axis: int, indices: Tensor) -> None:
    tensor = _tensor(holder, leaf)
    smaller = tensor.detach().index_select(axis, indices.to(tensor.device))
    if leaf in holder._parameters:
        holder._parameters[leaf] = nn.Parameter(smaller, tensor.requires_grad)
    else:
        holder._buffers[leaf] = smaller


def _tensor(holder: nn.Module, leaf: str) -> Any:  # noqa: ANN401
    return holder._parameters.get(leaf, holder._buffers.get(leaf))
