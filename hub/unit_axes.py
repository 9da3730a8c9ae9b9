"""Where hidden units lie in the tensors of a checkpoint, and what of these a capacity keeps.

All sizes are those of the units that are kept: what a manifest claims of the others takes no
memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from prunnet_pml.hub.coding import Mask
from prunnet_pml.masks import kept
from prunnet_pml.units.groups import UnitGroup

Shape = tuple[int, ...]


@dataclass(frozen=True)
class UnitAxis:
    """An axis of a tensor that the units of a group lie along, laid out [parts, units, size]."""

    group: int
    parts: int
    size: int


def unit_axes(
    groups: Sequence[UnitGroup], shapes: Mapping[str, Shape]
) -> dict[str, dict[int, UnitAxis]]:
    """The axes that units lie along, by the name of a tensor.

    A cut is of the tensor that it names, or else of all those of the module that it names that have
    such an axis.

    Args:
        groups: The units.
        shapes: The shapes of all tensors by name.

    Raises:
        ValueError: If an axis has another length than the units, or holds those of two cuts.
    """
    of_module: dict[str, list[str]] = {}
    for name in shapes:
        of_module.setdefault(name.rpartition(".")[0], []).append(name)
    found: dict[str, dict[int, UnitAxis]] = {}
    places = set()
    for index, group in enumerate(groups):
        for cut in group.cuts:
            if (cut.name, cut.side) in places:
                raise ValueError(f"units should lie apart. Found `{cut.name}` cut twice")
            places.add((cut.name, cut.side))
            if cut.side == "number":
                continue
            axis = 0 if cut.side == "out" else 1
            names = [cut.name] if cut.name in shapes else of_module.get(cut.name, [])
            length = cut.parts * group.units * cut.size
            for name in names:
                if len(shape := shapes[name]) <= axis:
                    continue
                if shape[axis] != length:
                    raise ValueError(f"`{name}` should be {length} long. Found shape {shape}")
                if axis in found.setdefault(name, {}):
                    raise ValueError(f"units should lie apart. Found `{name}` cut twice")
                found[name][axis] = UnitAxis(index, cut.parts, cut.size)
    return found


@dataclass(frozen=True)
class KeptEntries:
    """What capacities keep of the tensors that units lie in.

    Capacity 0 keeps nothing.

    Args:
        groups: The units.
        scores: Theirs, group by group, [units].
        axes: What :func:`unit_axes` returns.
    """

    groups: Sequence[UnitGroup]
    scores: Sequence[Tensor]
    axes: Mapping[str, Mapping[int, UnitAxis]]
    _found: dict[tuple[int, float], Mask] = field(default_factory=dict)

    def units(self, group: int, capacity: float) -> Mask:
        """Which units of a group are kept, [units]."""
        if (group, capacity) not in self._found:
            scores = self.scores[group]
            found = kept(scores, capacity, self.groups[group].multiple) if capacity else 0 * scores
            self._found[group, capacity] = found.numpy().astype(bool)
        return self._found[group, capacity]

    def shape(self, name: str, shape: Shape, capacity: float) -> Shape:
        """The shape of a tensor at a capacity; ``shape`` is that of all of it."""
        lengths = [*shape]
        for axis, found in self.axes[name].items():
            count = int(self.units(found.group, capacity).sum())
            lengths[axis] = found.parts * count * found.size
        return tuple(lengths)

    def count(self, name: str, shape: Shape, capacity: float, below: float) -> int:
        """How many entries of a tensor a capacity adds over a smaller one."""
        at, before = (math.prod(self.shape(name, shape, c)) for c in (capacity, below))
        return at - before

    def added(self, name: str, shape: Shape, capacity: float, below: float) -> Tensor:
        """Which entries of a tensor at a capacity are not there at a smaller one.

        Returns:
            A mask of the tensor's shape at ``capacity``.
        """
        lengths = self.shape(name, shape, capacity)
        old = torch.ones([1] * len(lengths), dtype=torch.bool)
        for axis, found in self.axes[name].items():
            along = torch.from_numpy(self._along(found, capacity, below))
            old = old & along.view([-1 if i == axis else 1 for i in range(len(lengths))])
        return (~old).expand(lengths)

    def grown(
        self,
        name: str,
        shape: Shape,
        smaller: Tensor,
        values: Tensor,
        capacity: float,
        below: float,
    ) -> Tensor:
        """A tensor at a capacity, from the one at a smaller capacity and the values added, [n].

        At capacity 0 it is an empty one.
        """
        added = self.added(name, shape, capacity, below)
        found = values.new_empty(added.shape)
        found.masked_scatter_(added, values)  # indexing would make an integer per axis and entry
        return found.masked_scatter_(~added, smaller)

    def selected(self, name: str, value: Tensor, capacity: float, within: float) -> Tensor:
        """A tensor at a capacity, from the one at a larger capacity."""
        for axis, found in self.axes[name].items():
            indices = torch.from_numpy(self._along(found, within, capacity).nonzero()[0])
            value = value.index_select(axis, indices)
        return value

    def _along(self, axis: UnitAxis, capacity: float, smaller: float) -> Mask:
        """Which of the entries along an axis at one capacity are there at a smaller one too."""
        both = self.units(axis.group, smaller)[self.units(axis.group, capacity)]
        return np.tile(np.repeat(both, axis.size), axis.parts)
