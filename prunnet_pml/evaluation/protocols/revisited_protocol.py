"""Easy, Medium and Hard of the revisited Oxford and Paris benchmarks."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prunnet_pml.evaluation.protocols.average_precision import trapezoid_average_precision
from prunnet_pml.evaluation.protocols.ground_truth import GroundTruth
from prunnet_pml.evaluation.protocols.protocol import Protocol

_PRECISION_AT = (1, 5, 10)


class RevisitedProtocol(Protocol):
    """The three set-ups of Radenović et al., "Revisiting Oxford and Paris" (CVPR 2018), at once.

    ========  =============  ===================
    set-up    relevant       junk
    ========  =============  ===================
    easy      easy           hard and junk
    medium    easy and hard  junk
    hard      hard           easy and junk
    ========  =============  ===================

    Metrics, for each set-up: ``mean_average_precision_{set-up}`` by the trapezoid rule, and
    ``mean_precision_at_{1, 5, 10}_{set-up}``. As in the authors' own evaluation, the precision at k
    looks no further than the last relevant image, so that a query with three relevant images can
    reach 1 at k = 10; and a query with no relevant image in a set-up is left out of it.

    Args:
        easy: For each query, positions of its easy images in the gallery.
        hard: The same for the hard ones.
        junk: The same for those that are unclear.
        gallery_size: Number of images in the gallery, distractors included.

    Attributes:
        ground_truths: One for each set-up; :attr:`ground_truth` is the one of medium.
    """

    def __init__(
        self,
        easy: Sequence[ArrayLike],
        hard: Sequence[ArrayLike],
        junk: Sequence[ArrayLike],
        gallery_size: int,
    ) -> None:
        self.ground_truths = {
            "easy": GroundTruth(_positions(easy), _joined(hard, junk), gallery_size),
            "medium": GroundTruth(_joined(easy, hard), _positions(junk), gallery_size),
            "hard": GroundTruth(_positions(hard), _joined(easy, junk), gallery_size),
        }
        super().__init__(self.ground_truths["medium"])

    def measure(self, query: int, results: NDArray[np.int64]) -> dict[str, float]:
        found: dict[str, float] = {}
        for setup, truth in self.ground_truths.items():
            relevant, ranks = len(truth.relevant[query]), truth.ranks(query, results)
            average = trapezoid_average_precision(ranks, relevant)
            found[f"mean_average_precision_{setup}"] = average
            for k in _PRECISION_AT:
                found[f"mean_precision_at_{k}_{setup}"] = _precision_at(k, ranks)
        return found


def _precision_at(k: int, ranks: NDArray[np.int64]) -> float:
    if len(ranks) == 0:
        return math.nan
    depth = min(k, int(ranks[-1]) + 1)
    return float((ranks < depth).sum() / depth)


def _positions(images: Sequence[ArrayLike]) -> list[NDArray[np.int64]]:
    return [np.asarray(of_query, np.int64) for of_query in images]


def _joined(one: Sequence[ArrayLike], other: Sequence[ArrayLike]) -> list[NDArray[np.int64]]:
    pairs = zip(_positions(one), _positions(other), strict=True)
    return [np.concatenate(pair) for pair in pairs]
