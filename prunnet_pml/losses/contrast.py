"""The contrast of ``CompatibleLoss``: a subnetwork's batch against the dense network's."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from pytorch_metric_learning.losses import SupConLoss
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from torch import Tensor, nn

from prunnet_pml.losses.comparison import with_references

TEMPERATURE = 0.05
"""That of the class losses which docs/method.md was measured with."""


class AllPairsLoss(SupConLoss):
    """PML's ``SupConLoss`` over all pairs of a batch and its references.

    PML looks for the indices of the pairs, for which a GPU has to finish all that it was asked for
    before. Here a mask says what is a pair, and the host goes on. (Eq. 2 of `Supervised Contrastive
    Learning <https://arxiv.org/abs/2004.11362>`_.) It is of cosines, and asks no miner and no
    reducer: PML's leaves out images whose loss rounds to 0, so that a hard one counts the more.
    """

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None,  # noqa: ARG002 (no miner is asked)
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """The mean over the images; 0 where all are of one class."""
        logits = self.distance(embeddings, ref_emb) / self.temperature  # [batch, references]
        positive = labels.unsqueeze(1) == ref_labels
        of_each = -(logits.log_softmax(1) * positive).sum(1) / positive.sum(1)
        mean = of_each.sum() / max(len(of_each), 1) * ~positive.all()
        return {"loss": {"losses": mean, "indices": None, "reduction_type": "already_reduced"}}


class Contrast(nn.Module):
    """That loss with the dense network's embeddings as positives and negatives.

    Args:
        of_all_processes: Whether the batch is that of all processes, as in PML's
            ``DistributedLossWrapper``.
    """

    def __init__(self, of_all_processes: bool) -> None:
        super().__init__()
        loss = AllPairsLoss(temperature=TEMPERATURE)
        self.loss = DistributedLossWrapper(loss) if of_all_processes else loss

    def forward(self, embeddings: Tensor, labels: Tensor | None, dense: Tensor) -> Tensor:
        """The loss of a batch: embeddings and the dense network's ``[batch, dim]``, labels
        ``[batch]``. Without labels every image is a class of its own.

        Raises:
            ValueError: If labels are of another shape.
        """
        if labels is None:
            labels = _one_each(dense)
        if labels.shape != dense.shape[:1]:
            raise ValueError(
                "`contrast` should be 0 for labels that are not one class an image. "
                f"Found labels {tuple(labels.shape)} for embeddings {tuple(dense.shape)}."
            )
        total: Tensor = with_references(self.loss, embeddings, labels, None, dense)
        return total


def _one_each(dense: Tensor) -> Tensor:
    """Labels that no other image has, in no process."""
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    return rank + processes * torch.arange(len(dense), device=dense.device)
