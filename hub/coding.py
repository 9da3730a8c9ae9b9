"""Masks, values and scores as bytes: what a tensor becomes in a band, and back.

Everything is bounded: to decode ``n`` bytes takes memory for ``8 n`` mask bits or ``4 n`` bytes of
values, whatever the bytes are.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_LEVELS = 128
"""Magnitudes that a score of one byte tells apart; its upper bit is the sign."""


def pack_mask(mask: Mask) -> Bytes:
    """A mask [n] as [ceil(n / 8)] bytes, the first position in the lowest bit."""
    return np.packbits(mask, bitorder="little")


def unpack_mask(packed: Bytes, size: int) -> Mask:
    """What ``pack_mask`` packed, or ValueError where there are too many or too few bytes."""
    if len(packed) != -(-size // 8):
        raise ValueError(f"a mask of {size} positions should have {-(-size // 8)} bytes")
    return np.unpackbits(packed, count=size, bitorder="little").astype(bool)


def split_values(values: Tensor) -> tuple[Bytes, Bytes]:
    """Values [m] of ``b`` bytes each, as their lower bytes [m (b - 1)] and their upper ones.

    The upper byte holds sign and exponent, which are nearly the same for many weights: deflated
    where that is shorter. The lower ones look random, and stay as they are.
    """
    raw = values.contiguous().view(torch.uint8).numpy().reshape(-1, values.itemsize)
    upper = np.ascontiguousarray(raw[:, -1])
    deflate = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)  # there are no repeats to look for
    deflated = np.frombuffer(deflate.compress(upper.tobytes()) + deflate.flush(), np.uint8)
    lower = np.ascontiguousarray(raw[:, :-1]).ravel()
    return lower, deflated if len(deflated) < len(upper) else upper


def join_values(lower: Bytes, upper: Bytes, size: int, dtype: torch.dtype) -> Tensor:
    """What ``split_values`` split, [size], or ValueError where the bytes are not that many."""
    raw = np.empty((size, dtype.itemsize), np.uint8)
    if lower.size != size * (dtype.itemsize - 1):
        raise ValueError(f"{size} values should have {size * (dtype.itemsize - 1)} lower bytes")
    raw[:, :-1] = lower.reshape(-1, dtype.itemsize - 1)
    raw[:, -1] = upper if len(upper) == size else _inflate(upper, size)
    return torch.from_numpy(raw.ravel()).view(dtype)


def quantise(scores: Tensor) -> dict[str, Tensor]:
    """Scores [m] of one band as one byte each, with up to 128 magnitudes that they stand for.

    Each magnitude is rounded down to a level; levels are quantiles, the smallest magnitude being
    one. So a band's scores stay above the next band's, and the masks of stored capacities exact.

    Returns:
        ``codes`` [m] and ``levels``, or ``scores`` as they are where that is not longer.
    """
    if len(scores) <= 2 * _LEVELS:
        return {"scores": scores}
    magnitudes = scores.abs()
    ordered = magnitudes.sort().values
    ranks = torch.arange(_LEVELS) * (len(ordered) - 1) // (_LEVELS - 1)
    levels = ordered[ranks].unique()
    codes = torch.bucketize(magnitudes, levels, right=True) - 1
    codes += 128 * torch.signbit(scores)
    return {"codes": codes.to(torch.uint8), "levels": levels}


def restore(codes: Tensor, levels: Tensor) -> Tensor:
    """The scores [m] that codes [m] and levels stand for, or ValueError where they don't fit."""
    magnitudes = codes & 127
    if codes.numel() and int(magnitudes.max()) >= len(levels):
        raise ValueError(f"codes should be of {len(levels)} levels")
    return levels[magnitudes.long()] * torch.where(codes >= 128, -1.0, 1.0)


def _inflate(deflated: Bytes, size: int) -> Any:  # noqa: ANN401
    """Exactly ``size`` bytes, never more in memory."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(deflated.tobytes(), size + 1)
    except zlib.error as error:
        raise ValueError(f"upper bytes don't inflate: {error}") from error
    if len(inflated) != size or not stream.eof or stream.unused_data:
        raise ValueError(f"upper bytes should inflate to {size}")
    return np.frombuffer(inflated, np.uint8)
