"""The loss of all capacities that settings ask for."""

from __future__ import annotations

from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor, nn

import prunnet_pml as prunnet
from methods.settings import Settings
from prunnet_pml.network import get_capacity
from tasks import Task


def subnetwork_loss(task: Task, model: nn.Module, settings: Settings) -> nn.Module:
    """The task's loss around all capacities of a prunable network."""
    if not settings.compatible:
        return task.loss()
    if settings.space == "logit":
        return prunnet.CompatibleLoss(task.loss(), model, alignment=settings.alignment)
    return _WithPairs(task, model, settings)


class _WithPairs(nn.Module):
    """The dense network learns classes; subnetworks learn to meet its embeddings.

    By ``SupConLoss``, which compares embeddings: in place of the comparison with class weights, or
    beside it.
    """

    def __init__(self, task: Task, model: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.classes = prunnet.CompatibleLoss(task.loss(), model, alignment=settings.alignment)
        pairs = SupConLoss(temperature=task.recipe.temperature)
        self.pairs = prunnet.CompatibleLoss(
            pairs, model, "embedding", 0 if settings.space == "both" else settings.alignment
        )
        self.model = [model]  # not a submodule
        self.both = settings.space == "both"

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        compared: Tensor = self.pairs(embeddings, labels)  # keeps those of the dense pass
        if get_capacity(self.model[0]) < 1 and not self.both:
            return compared
        of_classes: Tensor = self.classes(embeddings, labels)
        return of_classes if get_capacity(self.model[0]) == 1 else of_classes + compared
