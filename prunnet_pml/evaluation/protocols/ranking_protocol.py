"""mAP and Recall@k over the whole ranking: In-shop, VeRi-776 and most of re-identification."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prunnet_pml.evaluation.protocols.average_precision import average_precision
from prunnet_pml.evaluation.protocols.ground_truth import GroundTruth
from prunnet_pml.evaluation.protocols.protocol import Protocol


class RankingProtocol(Protocol):
    """mAP, and Recall@k: the share of queries with a relevant image among their first k results.

    In re-identification Recall@k is called the cumulative matching characteristic (CMC) at rank k.
    Metrics: ``recall_at_{k}`` and ``mean_average_precision``.

    Args:
        ground_truth: What is relevant and what is junk.
        recall_at: The values of k.

    Raises:
        ValueError: If a k is less than 1.
    """

    def __init__(self, ground_truth: GroundTruth, recall_at: Sequence[int] = (1, 5, 10)) -> None:
        if min(recall_at, default=1) < 1:
            raise ValueError(f"`recall_at` should be at least 1 each. Found {tuple(recall_at)}.")
        super().__init__(ground_truth)
        self.recall_at = tuple(recall_at)

    def measure(self, query: int, results: NDArray[np.int64]) -> dict[str, float]:
        relevant = len(self.ground_truth.relevant[query])
        ranks = self.ground_truth.ranks(query, results)
        found = {
            f"recall_at_{k}": float((ranks < k).any()) if relevant else math.nan
            for k in self.recall_at
        }
        return {**found, "mean_average_precision": average_precision(ranks, relevant)}
