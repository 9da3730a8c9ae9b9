"""The cross-entropy of a linear classifier."""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning.losses import BaseMetricLossFunction
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor, nn


class SoftmaxLoss(BaseMetricLossFunction):
    """The cross-entropy of a linear classifier, with a bias, on embeddings of any length.

    What PrunNet trains with: inside of a ``CompatibleLoss`` with ``alignment=0`` and ``contrast=0``
    it is Eq. 4 of `Learning Compatible Multi-Prize Subnetworks for Asymmetric Retrieval
    <https://arxiv.org/abs/2504.11879>`_. PML's ``NormalizedSoftmaxLoss`` is its sibling on the unit
    sphere, without a bias.

    Args:
        num_classes: Number of classes.
        embedding_size: Dimension of the embeddings.
        **kwargs: As of PML's ``BaseMetricLossFunction``.

    Attributes:
        classifier: The linear layer, from embeddings to logits.
    """

    def __init__(self, num_classes: int, embedding_size: int, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.classifier = nn.Linear(embedding_size, num_classes)

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None,
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """The cross-entropy of every image, ``[batch]``, weighted as PML does by a miner."""
        c_f.labels_required(labels)
        c_f.ref_not_supported(embeddings, labels, ref_emb, ref_labels)
        terms = nn.functional.cross_entropy(self.get_logits(embeddings), labels, reduction="none")
        weights = lmu.convert_to_weights(indices_tuple, labels, dtype=terms.dtype)
        images = c_f.torch_arange_from_size(embeddings)
        return {"loss": {"losses": terms * weights, "indices": images, "reduction_type": "element"}}

    def get_logits(self, embeddings: Tensor) -> Tensor:
        """``[batch, classes]``."""
        logits: Tensor = self.classifier(embeddings)
        return logits
