"""Feature distillation: every embedding to its reference."""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor

from prunnet_pml.losses.distillation_loss import DistillationLoss


class FeatureDistillationLoss(DistillationLoss):
    """The distance between the embedding and the reference of the same image.

    With the default distance that is Eq. 3 of `FitNets: Hints for Thin Deep Nets
    <https://arxiv.org/abs/1412.6550>`_ on embeddings, without the regressor (they have one
    dimension here) and the factor 1/2. Of a similarity it is one minus the similarity.

    Default distance: ``LpDistance(normalize_embeddings=False, power=2)``. Default reducer:
    ``MeanReducer``.
    """

    def distill(self, embeddings: Tensor, references: Tensor) -> dict[str, dict[str, Any]]:
        """The distance of every image's pair, ``[batch]``."""
        normalized = [self.distance.maybe_normalize(matrix) for matrix in (embeddings, references)]
        pairs = self.distance.pairwise_distance(*normalized) ** self.distance.power
        losses = self.distance.margin(pairs, 1 if self.distance.is_inverted else 0)
        images = c_f.torch_arange_from_size(embeddings)
        return {"loss": {"losses": losses, "indices": images, "reduction_type": "element"}}

    def get_default_distance(self) -> BaseDistance:
        """The squared Euclidean distance of embeddings as they are."""
        return LpDistance(normalize_embeddings=False, power=2)
