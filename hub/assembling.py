"""Bands put together again: the tensors of a capacity, one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from prunnet_pml.hub.layout import part, statistic, unit_scores
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.records import TensorRecord
from prunnet_pml.hub.scored_bands import BYTE, OpenBand, pruned, read_values, scores_of
from prunnet_pml.hub.unit_axes import KeptEntries
from prunnet_pml.norms import interpolated


@dataclass(frozen=True)
class Assembly:
    """What the bands up to a capacity hold.

    Args:
        manifest: The checkpoint's.
        bands: The open bands, ascending.
        capacity: The capacity that is put together.
    """

    manifest: Manifest
    bands: list[OpenBand]
    capacity: float

    def check(self) -> None:
        """Refuses bands that can't hold what the manifest says, before memory is taken for it.

        What is claimed of a scored tensor is bounded by the bytes of its first mask, of one that
        units lie in by the values that the bands hold.
        """
        first = self.bands[0]
        for name, record in self.manifest.tensors.items():
            if record.kind == "plain":
                first.values.check(name, record.dtype, record.shape)
            elif record.kind == "norm":
                for band, owner, _, shape in self._statistics(name, record):
                    band.values.check(statistic(name, owner), record.dtype, shape)
            elif record.kind == "cut":
                for band, below in self._with_below():
                    size = self.units.count(name, record.shape, band.capacity, below)
                    shape = (size * (record.dtype.itemsize - 1),)
                    band.values.check(part(name, "lower"), BYTE, shape)
            elif first.capacity < 1:
                size = -(-math.prod(record.shape) // 8)
                first.values.check(part(name, "mask"), BYTE, (size,))
            else:
                size = math.prod(record.shape) * (record.dtype.itemsize - 1)
                first.values.check(part(name, "lower"), BYTE, (size,))

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The plain network's tensors at this capacity, by name."""
        for name, record in self.manifest.tensors.items():
            if record.kind == "plain":
                yield name, self.bands[0].values.read(name, record.dtype, record.shape)
            elif record.kind == "norm":
                yield name, self._selected(name, interpolated(self.norm_sets(name), self.capacity))
            elif record.kind == "cut":
                yield name, self._selected(name, self._cut(name, record))
            else:
                yield name, pruned(self.bands, name, record, self.capacity)

    def norm_sets(self, name: str) -> dict[float, Tensor]:
        """A norm statistic by the capacities that own it, as far as the bands are open."""
        record, found = self.manifest.tensors[name], dict[float, Tensor]()
        for band, owner, below, shape in self._statistics(name, record):
            value = band.values.read(statistic(name, owner), record.dtype, shape)
            if name in self.units.axes:
                smaller = found.get(owner, value[:0])
                value = self.units.grown(name, record.shape, smaller, value, band.capacity, below)
            found[owner] = value
        return found

    def scores(self) -> Iterator[tuple[str, Tensor]]:
        """All scores, by their names in the prunable network; all bands are open."""
        for group, scores in zip(self.units.groups, self.units.scores, strict=True):
            yield unit_scores(group), scores
        for name, record in self.manifest.tensors.items():
            if record.scores:
                yield record.scores, scores_of(self.bands, name, record)

    @cached_property
    def units(self) -> KeptEntries:
        """What capacities keep of hidden units, by the scores in the first band."""
        groups = self.manifest.units.groups if self.manifest.units else ()
        file = self.bands[0].values
        scores = [file.read(unit_scores(g), torch.float32, (g.units,)) for g in groups]
        return KeptEntries(groups, scores, self.manifest.unit_axes())

    def _with_below(self) -> Iterator[tuple[OpenBand, float]]:
        """Every open band, and the capacity of the one below it, or 0."""
        below = 0.0
        for band in self.bands:
            yield band, below
            below = band.capacity

    def _statistics(
        self, name: str, record: TensorRecord
    ) -> Iterator[tuple[OpenBand, float, float, tuple[int, ...]]]:
        """What bands hold of a norm statistic: band, owner, what it adds to, and its shape.

        Where units lie in it, each band adds to the sets of all owners so far.
        """
        before: list[float] = []
        for band, below in self._with_below():
            new = self.manifest.norms_of(band.capacity)
            if name not in self.units.axes:
                yield from ((band, owner, 0.0, record.shape) for owner in new)
                continue
            for owner in (*before, *new):
                since = below if owner in before else 0.0
                size = self.units.count(name, record.shape, band.capacity, since)
                yield band, owner, since, (size,)
            before += new

    def _cut(self, name: str, record: TensorRecord) -> Tensor:
        """A tensor that units lie in, at the capacity of the last open band."""
        found = torch.empty(0, dtype=record.dtype)
        for band, below in self._with_below():
            size = self.units.count(name, record.shape, band.capacity, below)
            values = read_values(band, name, size, record.dtype)
            found = self.units.grown(name, record.shape, found, values, band.capacity, below)
        return found

    def _selected(self, name: str, value: Tensor) -> Tensor:
        """What the capacity keeps of what the last open band does."""
        if name not in self.units.axes:
            return value
        return self.units.selected(name, value, self.capacity, self.bands[-1].capacity)
