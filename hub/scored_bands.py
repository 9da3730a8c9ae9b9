"""Scored tensors out of bands: a bit mask says which positions the values of a band are for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prunnet_pml.hub.coding import Mask, join_values, restore, unpack_mask
from prunnet_pml.hub.layout import part
from prunnet_pml.hub.records import TensorRecord
from prunnet_pml.hub.stored_file import StoredFile
from prunnet_pml.masks import threshold_rank

BYTE = torch.uint8


@dataclass(frozen=True)
class OpenBand:
    """The files of a band; ``scores`` is None where they are not needed."""

    capacity: float
    values: StoredFile
    scores: StoredFile | None


def pruned(bands: Sequence[OpenBand], name: str, record: TensorRecord, capacity: float) -> Tensor:
    """A scored tensor at a capacity, the largest that the bands serve, or between the last two."""
    found = torch.zeros(math.prod(record.shape), dtype=record.dtype)
    kept = 0
    for band, member in _members(bands, name, found.numel()):
        size = int(member.sum())
        values = read_values(band, name, size, record.dtype)
        kept += size
        _check_kept(band, name, kept, found.numel())
        if band.scores is not None and capacity < band.capacity:
            scores = _stored_scores(band.scores, name, size).abs().numpy()
            chosen = _highest(scores, found.numel() - kept, found.numel(), capacity)
            member[member] = chosen
            values = values[torch.from_numpy(chosen)]
        found[torch.from_numpy(member)] = values
    return found.view(record.shape)


def scores_of(bands: Sequence[OpenBand], name: str, record: TensorRecord) -> Tensor:
    """The scores of a scored tensor; all bands are open."""
    found = torch.zeros(math.prod(record.shape))
    for band, member in _members(bands, name, found.numel()):
        if band.scores is not None:
            stored = _stored_scores(band.scores, name, int(member.sum()))
            found[torch.from_numpy(member)] = stored
    return found.view(record.shape)


def read_values(band: OpenBand, name: str, size: int, dtype: torch.dtype) -> Tensor:
    """The values [size] that a band holds of a scored or cut tensor."""
    halves = [
        band.values.read(part(name, kind), BYTE, (None,)).numpy() for kind in ("lower", "upper")
    ]
    values: Tensor = _decoded(band.values, name, join_values, *halves, size, dtype)
    if not torch.isfinite(values).all():
        raise band.values.error(f"should hold finite numbers. Found others in `{name}`.")
    return values


def _members(bands: Sequence[OpenBand], name: str, size: int) -> Iterator[tuple[OpenBand, Mask]]:
    """Which positions [size] each band holds."""
    left = np.ones(size, bool)
    for band in bands:
        member = left.copy()
        if band.capacity < 1:
            packed = band.values.read(part(name, "mask"), BYTE, (None,)).numpy()
            member[left] = _decoded(band.values, name, unpack_mask, packed, int(left.sum()))
        left &= ~member
        yield band, member


def _stored_scores(file: StoredFile, name: str, size: int) -> Tensor:
    if part(name, "scores") in file:
        return file.read(part(name, "scores"), torch.float32, (size,))
    codes = file.read(part(name, "codes"), BYTE, (size,))
    levels = file.read(part(name, "levels"), torch.float32, (None,))
    scores: Tensor = _decoded(file, name, restore, codes, levels)
    return scores


def _check_kept(band: OpenBand, name: str, kept: int, size: int) -> None:
    least = size - threshold_rank(size, band.capacity) + 1
    if kept < least:
        raise band.values.error(
            f"should keep {least} of {size} values of `{name}` with the bands below. Found {kept}."
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
