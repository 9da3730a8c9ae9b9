"""The two definitions of average precision that benchmarks use."""

import math

import numpy as np
from numpy.typing import NDArray


def average_precision(ranks: NDArray[np.int64], relevant: int) -> float:
    """The mean over all relevant images of the precision at the rank of each, 0 if not found.

    Args:
        ranks: Ranks from 0 of those that were found, ascending, ``[m]``.
        relevant: How many there are, at least ``m``; NaN is returned for 0.
    """
    if relevant == 0:
        return math.nan
    precision = np.arange(1, len(ranks) + 1) / (ranks + 1)
    return float(precision.sum() / relevant)


def trapezoid_average_precision(ranks: NDArray[np.int64], relevant: int) -> float:
    """The area under the precision-recall curve by the trapezoid rule.

    Each relevant image adds the mean of the precision just before its rank and the precision at
    it (before the first result, precision is 1). This is the definition of Oxford5k, kept by its
    revision: Philbin et al., "Object retrieval with large vocabularies and fast spatial matching"
    (CVPR 2007). It is below :func:`average_precision` unless the ranking is perfect.

    Args:
        ranks: As in :func:`average_precision`.
        relevant: As in :func:`average_precision`.
    """
    if relevant == 0:
        return math.nan
    found = np.arange(len(ranks))  # relevant images in front of each
    before = np.where(ranks == 0, 1.0, found / np.maximum(ranks, 1))
    precision = (before + (found + 1) / (ranks + 1)) / 2
    return float(precision.sum() / relevant)
