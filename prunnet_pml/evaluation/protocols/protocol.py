"""What all protocols have in common."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from prunnet_pml.evaluation.protocols.ground_truth import GroundTruth


class Protocol(ABC):
    """A ground truth, and what one query's results are worth.

    Attributes:
        ground_truth: What is relevant and what is junk.
        depth: Results needed per query; None for a ranking of the whole gallery.

    Args:
        ground_truth: See above.
    """

    depth: int | None = None

    def __init__(self, ground_truth: GroundTruth) -> None:
        self.ground_truth = ground_truth

    @abstractmethod
    def measure(self, query: int, results: NDArray[np.int64]) -> dict[str, float]:
        """The metrics of one query.

        A matrix holds their means over the queries. A NaN leaves a query out of a mean: the way
        of all protocols here with queries that have no relevant image.

        Args:
            query: Which query.
            results: Positions in the gallery, nearest first, ``[k]``: :attr:`depth` of them, or
                the whole gallery where that is less.

        Returns:
            Metric by name, the same names for every query.
        """
