"""Relational knowledge distillation: distances and angles between images."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor, nn

from prunnet_pml.losses.distillation_loss import DistillationLoss


class RelationDistillationLoss(DistillationLoss):
    """Keeps distances between images, and angles between three of them, as the references have.

    RKD-D and RKD-A of `Relational Knowledge Distillation <https://arxiv.org/abs/1904.05068>`_
    (CVPR 2019): the Huber loss between distances in units of the batch's mean distance, and between
    the cosines of all angles. Relations are compared, not positions: alone it does not make
    embeddings comparable across networks, whose dimensions may differ. An angle term takes
    ``batch ** 3`` numbers.

    Args:
        distance_weight: Weight of RKD-D.
        angle_weight: Weight of RKD-A; the paper has twice that of RKD-D.
        **kwargs: As of PML's ``BaseMetricLossFunction``. ``distance`` can't be a similarity.

    Default distance: ``LpDistance(normalize_embeddings=False)``. Default reducer: ``MeanReducer``
    over images: of their distances to all others, of the angles at them.

    Raises:
        ValueError: If ``distance`` is a similarity.
    """

    def __init__(
        self,
        distance_weight: float = 1.0,
        angle_weight: float = 2.0,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        if self.distance.is_inverted:
            found = type(self.distance).__name__
            raise ValueError(f"`distance` should grow with distance. Found the similarity {found}.")
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight
        self.add_to_recordable_attributes(
            list_of_names=["distance_weight", "angle_weight"], is_stat=False
        )

    def distill(self, embeddings: Tensor, references: Tensor) -> dict[str, dict[str, Any]]:
        """The Huber losses of every image's relations, ``[batch]`` each, weighted."""
        count = len(embeddings)
        other = ~torch.eye(count, dtype=torch.bool, device=embeddings.device)
        distances = nn.functional.smooth_l1_loss(
            self._distances(embeddings, other), self._distances(references, other), reduction="none"
        )
        angles = nn.functional.smooth_l1_loss(
            self._angles(embeddings), self._angles(references), reduction="none"
        )
        by_image = {
            "distance_loss": self.distance_weight * distances.sum(1) / max(count - 1, 1),
            "angle_loss": self.angle_weight
            * angles.sum((1, 2))  # zero where two of the three images are one
            / max((count - 1) * (count - 2), 1),
        }
        images = c_f.torch_arange_from_size(embeddings)
        return {
            name: {"losses": losses, "indices": images, "reduction_type": "element"}
            for name, losses in by_image.items()
        }

    def get_default_distance(self) -> BaseDistance:
        """The Euclidean distance of embeddings as they are."""
        return LpDistance(normalize_embeddings=False)

    def _distances(self, matrix: Tensor, other: Tensor) -> Tensor:
        """In units of their mean, ``[batch, batch]``, zero from an image to itself."""
        distances: Tensor = self.distance(matrix) * other
        return distances * other.sum() / distances.sum().clamp(min=torch.finfo(matrix.dtype).tiny)

    def _angles(self, matrix: Tensor) -> Tensor:
        """The cosines of the angles at every image, ``[vertex, one, another]``."""
        points = self.distance.maybe_normalize(matrix)
        rays = nn.functional.normalize(points[None] - points[:, None], dim=2)  # [vertex, end, dim]
        return rays @ rays.mT

    def _sub_loss_names(self) -> list[str]:
        return ["distance_loss", "angle_loss"]
