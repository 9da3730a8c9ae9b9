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


class ImageAndClassLoss(SupConLoss):
    """PML's ``SupConLoss``, in which the same image counts as much as all others of its class.

    Half of what an embedding is to be near to is the reference of the same image, the other half
    those of its class-mates; all of it is the image where it has none in the batch. (Eq. 2 of
    `Supervised Contrastive Learning <https://arxiv.org/abs/2004.11362>`_ gives all the same weight:
    in a batch of few classes next to nothing is left to the image, and subnetworks meet the dense
    network on the classes that they have learned, less on others.) The references are those of the
    same images in the same order.

    It is of cosines, and asks no miner and no reducer. PML looks for the indices of the pairs, for
    which a GPU has to finish all that it was asked for before; here the host goes on.
    """

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None,  # noqa: ARG002 (no miner is asked)
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """The mean over the images."""
        logits = self.distance(embeddings, ref_emb) / self.temperature  # [batch, batch]
        image = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        mates = (labels.unsqueeze(1) == ref_labels) & ~image
        target = image + mates / mates.sum(1, keepdim=True).clamp(min=1)
        target /= target.sum(1, keepdim=True)
        total = nn.functional.cross_entropy(logits, target.to(logits.dtype), reduction="sum")
        mean = total / max(len(labels), 1)
        return {"loss": {"losses": mean, "indices": None, "reduction_type": "already_reduced"}}


class Contrast(nn.Module):
    """That loss with the dense network's embeddings as references.

    Args:
        of_all_processes: Whether the batch is that of all processes, as in PML's
            ``DistributedLossWrapper``.
    """

    def __init__(self, of_all_processes: bool) -> None:
        super().__init__()
        loss = ImageAndClassLoss(temperature=TEMPERATURE)
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
