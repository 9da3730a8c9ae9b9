"""The base of the losses that match embeddings with references of the same images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pytorch_metric_learning.losses import BaseMetricLossFunction
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor


class DistillationLoss(BaseMetricLossFunction, ABC):
    """Matches every embedding with the reference of the same image; needs no labels, no pairs.

    A subclass says in ``distill`` how. References are a frozen old model's embeddings, or the dense
    network's: ``CompatibleLoss(loss, model, space="embedding")``. Without any the loss is zero.
    """

    @abstractmethod
    def distill(self, embeddings: Tensor, references: Tensor) -> dict[str, dict[str, Any]]:
        """PML's dictionary of terms, for two matrices ``[batch, dim]``."""

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor | None,  # noqa: ARG002 (PML's signature)
        indices_tuple: tuple[Tensor, ...] | None,
        ref_emb: Tensor,
        ref_labels: Tensor | None,  # noqa: ARG002
    ) -> dict[str, dict[str, Any]]:
        """PML's dictionary of terms.

        Raises:
            ValueError: If there are pairs of a miner, or not as many references as embeddings.
        """
        c_f.indices_tuple_not_supported(indices_tuple)
        if len(ref_emb) != len(embeddings):
            raise ValueError(
                f"`ref_emb` should be of the same images, {len(embeddings)} rows. "
                f"Found {len(ref_emb)}."
            )
        return self.distill(embeddings, ref_emb)
