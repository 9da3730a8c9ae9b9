"""The triplet loss of the hardest references."""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from torch import Tensor


class AsymmetricTripletLoss(TripletMarginLoss):
    """For every embedding the triplet of its farthest positive and nearest negative reference.

    "Batch hard" of `In Defense of the Triplet Loss <https://arxiv.org/abs/1703.07737>`_ across two
    networks, as triplets are in `Asymmetric Metric Learning for Knowledge Transfer
    <https://arxiv.org/abs/2006.16331>`_ (CVPR 2021): the anchor is the student's, positive and
    negative are the teacher's, that is references. Triplets that a miner found are taken as they
    are.

    Args:
        margin: How much farther than the positive the negative should be. AML's code has 0.1.
        **kwargs: As of PML's ``TripletMarginLoss``.

    Default distance: ``LpDistance(power=2)``, as in AML. Default reducer: ``AvgNonZeroReducer``.
    """

    def __init__(self, margin: float = 0.1, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(margin=margin, **kwargs)
        self.miner = BatchHardMiner(distance=self.distance)

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None,
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """The hinge of every triplet."""
        if indices_tuple is None:
            indices_tuple = self.miner(embeddings, labels, ref_emb, ref_labels)
        terms: dict[str, dict[str, Any]] = super().compute_loss(
            embeddings, labels, indices_tuple, ref_emb, ref_labels
        )
        return terms

    def get_default_distance(self) -> BaseDistance:
        """The squared Euclidean distance of normalized embeddings."""
        return LpDistance(power=2)
