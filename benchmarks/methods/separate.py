"""A network per size: narrower ones, trained for themselves or for what the dense one says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.task import Family, Task
from prunnet_pml.losses import AsymmetricRegressionLoss, InfluenceLoss


def independent(task: Task) -> Family:
    """Every size trained on its own: what it can do for itself, compatible with nothing."""
    return {
        capacity: task.fit(task.network(capacity), task.loss(), f"independent {capacity:.0%}")
        for capacity in task.all_capacities
    }


def bct_per_size(task: Task) -> Family:
    """Backward-compatible training (arXiv 2003.11942) of every size, the dense network as the old.

    Each smaller network has class weights of its own, and the influence loss of the dense one's.
    """
    dense_loss = task.loss()
    family = {1.0: task.fit(task.network(), dense_loss, "bct dense")}
    influence = InfluenceLoss(dense_loss)
    for capacity in task.capacities:
        own = task.loss()

        def loss_of(_: Tensor, embeddings: Tensor, labels: Tensor, own: nn.Module = own) -> Tensor:
            total: Tensor = own(embeddings, labels) + influence(embeddings, labels)
            return total

        family[capacity] = task.fit(task.network(capacity), own, f"bct {capacity:.0%}", loss_of)
    return family


def asymmetric(task: Task) -> Family:
    """Asymmetric metric learning (arXiv 2006.16331): every size regresses the dense embeddings."""
    dense = task.fit(task.network(), task.loss(), "asymmetric dense")
    regression = AsymmetricRegressionLoss()

    def loss_of(images: Tensor, embeddings: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad():
            references = dense(images)
        total: Tensor = regression(embeddings, ref_emb=references)
        return total

    family = {1.0: dense}
    for capacity in task.capacities:
        student = task.network(capacity)
        family[capacity] = task.fit(student, regression, f"asymmetric {capacity:.0%}", loss_of)
    return family
