"""Bands put together again: the tensors of a capacity, one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prunnet_pml.hub.coding import Mask, join_values, restore, unpack_mask
from prunnet_pml.hub.layout import part, statistic
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.records import TensorRecord
from prunnet_pml.hub.stored_file import StoredFile
from prunnet_pml.masks import threshold_rank
from prunnet_pml.norms import interpolated

_BYTE = torch.uint8


@dataclass(frozen=True)
class OpenBand:
    """The files of a band; ``scores`` is None where they are not needed."""

    capacity: float
    values: StoredFile
    scores: StoredFile | None


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

        What is claimed of a scored tensor is bounded by the bytes of its first mask.
        """
        first = self.bands[0]
        for name, record in self.manifest.tensors.items():
            if record.kind == "plain":
                first.values.check(name, record.dtype, record.shape)
            elif record.kind == "norm":
                for band in self.bands:
                    for owner in self.manifest.norms_of(band.capacity):
                        key = statistic(name, owner)
                        band.values.check(key, record.dtype, record.shape)
            elif first.capacity < 1:
                size = -(-math.prod(record.shape) // 8)
                first.values.check(part(name, "mask"), _BYTE, (size,))
            else:
                size = math.prod(record.shape) * (record.dtype.itemsize - 1)
                first.values.check(part(name, "lower"), _BYTE, (size,))

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The plain network's tensors at this capacity, by name."""
        for name, record in self.manifest.tensors.items():
            if record.kind == "plain":
                yield name, self.bands[0].values.read(name, record.dtype, record.shape)
            elif record.kind == "norm":
                yield name, interpolated(self.norm_sets(name), self.capacity)
            else:
                yield name, self._pruned(name, record)

    def norm_sets(self, name: str) -> dict[float, Tensor]:
        """A norm statistic by the capacities that own it, as far as the bands are open."""
        record = self.manifest.tensors[name]
        return {
            owner: band.values.read(statistic(name, owner), record.dtype, record.shape)
            for band in self.bands
            for owner in self.manifest.norms_of(band.capacity)
        }

    def scores(self, name: str) -> Tensor:
        """The scores of a scored tensor; all bands are open."""
        record = self.manifest.tensors[name]
        found = torch.zeros(math.prod(record.shape))
        for band, member in self._members(name, found.numel()):
            if band.scores is not None:
                stored = self._stored_scores(band.scores, name, int(member.sum()))
                found[torch.from_numpy(member)] = stored
        return found.view(record.shape)

    def _pruned(self, name: str, record: TensorRecord) -> Tensor:
        found = torch.zeros(math.prod(record.shape), dtype=record.dtype)
        kept = 0
        for band, member in self._members(name, found.numel()):
            size = int(member.sum())
            values = self._values(band, name, size, record.dtype)
            kept += size
            self._check_kept(band, name, kept, found.numel())
            if band.scores is not None and self.capacity < band.capacity:
                scores = self._stored_scores(band.scores, name, size).abs().numpy()
                chosen = _highest(scores, found.numel() - kept, found.numel(), self.capacity)
                member[member] = chosen
                values = values[torch.from_numpy(chosen)]
            found[torch.from_numpy(member)] = values
        return found.view(record.shape)

    def _members(self, name: str, size: int) -> Iterator[tuple[OpenBand, Mask]]:
        """Which positions [size] each band holds."""
        left = np.ones(size, bool)
        for band in self.bands:
            member = left.copy()
            if band.capacity < 1:
                packed = band.values.read(part(name, "mask"), _BYTE, (None,)).numpy()
                member[left] = _decoded(band.values, name, unpack_mask, packed, int(left.sum()))
            left &= ~member
            yield band, member

    def _values(self, band: OpenBand, name: str, size: int, dtype: torch.dtype) -> Tensor:
        halves = [
            band.values.read(part(name, kind), _BYTE, (None,)).numpy()
            for kind in ("lower", "upper")
        ]
        values: Tensor = _decoded(band.values, name, join_values, *halves, size, dtype)
        if not torch.isfinite(values).all():
            raise band.values.error(f"should hold finite numbers. Found others in `{name}`.")
        return values

    def _stored_scores(self, file: StoredFile, name: str, size: int) -> Tensor:
        if part(name, "scores") in file:
            return file.read(part(name, "scores"), torch.float32, (size,))
        codes = file.read(part(name, "codes"), _BYTE, (size,))
        levels = file.read(part(name, "levels"), torch.float32, (None,))
        scores: Tensor = _decoded(file, name, restore, codes, levels)
        return scores

    def _check_kept(self, band: OpenBand, name: str, kept: int, size: int) -> None:
        least = size - threshold_rank(size, band.capacity) + 1
        if kept < least:
            raise band.values.error(
                f"should keep {least} of {size} values of `{name}` with the bands below. "
                f"Found {kept}."
            )


def _highest(magnitudes: npt.NDArray[np.float32], lower: int, size: int, capacity: float) -> Mask:
    """Which members of a band a capacity inside it keeps; ``lower`` others rank below them all."""
    rank = threshold_rank(size, capacity) - lower
    if rank > len(magnitudes):  # the threshold is in the band below
        return np.zeros(len(magnitudes), bool)
    kept: Mask = magnitudes >= np.partition(magnitudes, rank - 1)[rank - 1]
    return kept


def _decoded(file: StoredFile, name: str, decode: Any, *arguments: Any) -> Any:  # noqa: ANN401
    try:
        return decode(*arguments)
    except ValueError as error:
        raise file.error(f"is damaged in `{name}`: {error}.") from error
