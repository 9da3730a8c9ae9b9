"""Unit groups: what hangs on a hidden unit, as slices of tensors.

A hidden unit is a channel between two layers of a block, a hidden unit of an MLP, or an attention
head. What makes it lies in some tensors and what reads it in others, so a group of units is a list
of cuts: which axis of which tensor the units lie along, and how. Plain data by name, that a JSON
file can hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Literal

import torch
from torch import Tensor

Side = Literal["out", "in", "number"]


@dataclass(frozen=True)
class Cut:
    """How the units of a group lie in one place of a network.

    Attributes:
        name: The name of a module, a parameter or buffer, or an integer attribute.
        side: ``"out"``: along axis 0 of what ``name`` holds. ``"in"``: along axis 1.
            ``"number"``: ``name`` counts the units or their channels, as ``num_heads`` does.
        parts: How often all units follow each other: 3 where query, key and value share a layer.
        size: How many entries a unit has in a part: the channels of a head, say.
    """

    name: str
    side: Side
    parts: int = 1
    size: int = 1

    def indices(self, units: int, kept: Sequence[int]) -> Tensor:
        """The entries of the kept units along the axis, which is laid out [parts, units, size]."""
        layout = torch.arange(self.parts * units * self.size).view(self.parts, units, self.size)
        return layout[:, list(kept)].flatten()


@dataclass(frozen=True)
class UnitGroup:
    """Units that a subnetwork keeps or prunes one by one.

    Attributes:
        units: How many there are.
        cuts: Every place that they lie in.
        readers: Of the cuts, those of the layers that read the units, the largest first. Masking
            those is masking the units, whatever stands between.
        multiple: Units are kept in multiples of this.
    """

    units: int
    cuts: tuple[Cut, ...]
    readers: tuple[Cut, ...]
    multiple: int = 1

    @property
    def width(self) -> int:
        """How many channels a unit has where it is widest."""
        return max(cut.size for cut in self.cuts)

    def rounded(self, round_to: int | None) -> UnitGroup:
        """The same units, their channels kept in multiples of a number, if one is given."""
        if round_to is None:
            return self
        return replace(self, multiple=round_to // gcd(round_to, self.width))

    def within(self, prefix: str) -> UnitGroup:
        """The same units of a bigger module that holds the network under the name ``prefix``."""
        if not prefix:
            return self

        def longer(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
            return tuple(replace(cut, name=f"{prefix}.{cut.name}") for cut in cuts)

        return replace(self, cuts=longer(self.cuts), readers=longer(self.readers))


@dataclass(frozen=True)
class HiddenUnits:
    """What a network of granularity "channel" remembers of how it was made.

    Attributes:
        groups: Its hidden units.
        layers: The names of all layers that could have lost units: their weights are trained as
            scored ones, since subnetworks of every capacity share them.
    """

    groups: tuple[UnitGroup, ...]
    layers: tuple[str, ...]
