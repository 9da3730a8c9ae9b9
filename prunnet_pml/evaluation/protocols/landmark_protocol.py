"""mAP@100 of Google Landmarks v2."""

import numpy as np
from numpy.typing import NDArray

from prunnet_pml.evaluation.protocols.average_precision import average_precision
from prunnet_pml.evaluation.protocols.protocol import Protocol


class LandmarkProtocol(Protocol):
    """mAP@100 as Google Landmarks v2 defines it (Weyand et al., CVPR 2020).

    The precisions at the ranks of the relevant images among the first 100 results are summed and
    divided by the number of relevant images, or by 100 where there are more. So, unlike in PML's
    mAP, a query with 300 relevant images can reach 1. Metric: ``mean_average_precision_at_100``.

    Args:
        ground_truth: What is relevant and what is junk; the benchmark has no junk.
    """

    depth = 100

    def measure(self, query: int, results: NDArray[np.int64]) -> dict[str, float]:
        ranks = self.ground_truth.ranks(query, results)
        attainable = min(len(self.ground_truth.relevant[query]), self.depth)
        return {"mean_average_precision_at_100": average_precision(ranks, attainable)}
