"""From scores and a capacity to a mask: what a subnetwork keeps of one tensor.

A score's magnitude ranks. At capacity ``c`` the threshold of a tensor with ``n`` scores is the
``k``-th smallest magnitude, ``k = 1 + round((1 - c) (n - 1))`` with halves to even, and everything
at or above it is kept. So ties keep more, ``n = 1`` is never pruned, ``c = 1`` keeps all, and
capacities nest: what ``c`` keeps, every larger capacity keeps. (Sec. 3.2 of `Learning Compatible
Multi-Prize Subnetworks for Asymmetric Retrieval <https://arxiv.org/abs/2504.11879>`_; the rule is
the one its figures were measured with.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real

import torch
from torch import Tensor

from prunnet_pml.given_network import shown

_HISTOGRAM_FROM = 1 << 14
"""Number of scores from which selecting by histogram is faster than sorting."""


def check_capacity(capacity: object, name: str = "capacity") -> float:
    """Returns ``capacity`` as a float, rounded to 7 decimals.

    So that ``1 - 0.8``, ``3 * 0.2`` or a float32 means the subnetwork that was trained.

    Raises:
        ValueError: If it is not a number in (0, 1].
    """
    if isinstance(capacity, Real) and not isinstance(capacity, bool) and 0 < float(capacity) <= 1:
        return max(round(float(capacity), 7), 1e-7)
    raise ValueError(f"`{name}` should be in (0, 1]. Found {shown(capacity)}.")


def check_capacities(
    capacities: Iterable[float], name: str = "capacities", *, dense: bool = False
) -> tuple[float, ...]:
    """Returns capacities as floats, largest first.

    Args:
        capacities: What to check.
        name: What the message calls them.
        dense: Whether the dense network, capacity 1, may be among them.

    Raises:
        ValueError: If there are none, one comes twice, or one is out of range.
    """
    if isinstance(capacities, str) or not isinstance(capacities, Iterable):
        raise ValueError(f"`{name}` should be a sequence of capacities. Found {shown(capacities)}.")
    found = list(capacities)
    values = [check_capacity(capacity, name) for capacity in found]
    if not values:
        raise ValueError(f"`{name}` should hold at least one capacity. Found none.")
    if 1.0 in values and not dense:
        raise ValueError(
            f"`{name}` should be below 1: the dense network always takes part. Found {found!r}."
        )
    if len(set(values)) < len(values):
        raise ValueError(f"`{name}` should be distinct. Found {found!r}.")
    return tuple(sorted(values, reverse=True))


def threshold_rank(numel: int, capacity: float, multiple: int = 1) -> int:
    """The 1-based rank, in ascending order of magnitude, of the smallest score that is kept.

    With ``multiple``, as many are kept as the nearest multiple says, one of it at least.
    """
    pruned = round(1 - capacity, 12)  # 1 - 0.8 is 0.19999999999999996
    rank = 1 + round(pruned * (numel - 1))  # Python rounds halves to even
    if multiple == 1 or rank == 1:
        return rank
    kept = max(1, (numel - rank + 1 + multiple // 2) // multiple) * multiple
    return max(1, numel - kept + 1)


def thresholds(scores: Tensor, capacities: Sequence[float], multiple: int = 1) -> list[Tensor]:
    """The smallest magnitude kept at each capacity, from one pass over the scores.

    Args:
        scores: Scores of any shape.
        capacities: Capacities in (0, 1].
        multiple: How many are kept is a multiple of this, up to ties.

    Returns:
        One 0-d tensor per capacity, on the device of ``scores``. On an accelerator nothing is
        copied to the host.
    """
    magnitudes = scores.detach().abs().flatten()
    ranks = [threshold_rank(magnitudes.numel(), capacity, multiple) for capacity in capacities]
    exact_bits = magnitudes.device.type == "cpu" and magnitudes.dtype == torch.float32
    if exact_bits and magnitudes.numel() >= _HISTOGRAM_FROM:
        return _select_by_histogram(magnitudes, ranks)
    ascending = magnitudes.sort().values
    return [ascending[rank - 1] for rank in ranks]


def mask(scores: Tensor, threshold: Tensor) -> Tensor:
    """The mask of the shape and dtype of ``scores``: 1 where the subnetwork keeps, 0 elsewhere.

    Not boolean, because multiplying a float tensor by a boolean one is ten times slower on a CPU.
    """
    return scores.detach().abs().ge_(threshold)


def kept(scores: Tensor, capacity: float, multiple: int = 1) -> Tensor:
    """The mask of one capacity, as :func:`mask` gives it; ``multiple`` as in :func:`thresholds`."""
    return mask(scores, thresholds(scores, [capacity], multiple)[0])


def _select_by_histogram(magnitudes: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Order statistics of non-negative float32 values, whose bits order as integers do.

    One histogram over the upper 16 bits says for every rank in which bucket it falls; only that
    bucket is sorted. Ten times faster than sorting everything, and equal to the bit.
    """
    bits = magnitudes.view(torch.int32)
    buckets = bits >> 16
    at_or_below = torch.bincount(buckets, minlength=1 << 15).cumsum(0)
    selected = []
    for rank in ranks:
        bucket = int(torch.searchsorted(at_or_below, rank))
        below = int(at_or_below[bucket - 1]) if bucket else 0
        members = bits.numpy()[buckets.numpy() == bucket]  # three times as fast as in torch
        members.partition(rank - below - 1)
        found = torch.tensor(members[rank - below - 1], device="cpu")  # whatever the default is
        selected.append(found.view(torch.float32))
    return selected
