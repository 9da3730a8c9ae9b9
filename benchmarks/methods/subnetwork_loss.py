"""The loss of all capacities that settings ask for."""

from __future__ import annotations

import torch
from pytorch_metric_learning.losses import SupConLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor, nn

import prunnet_pml as prunnet
from methods.settings import Settings
from prunnet_pml.losses.contrast import TEMPERATURE
from prunnet_pml.network import get_capacity
from tasks import Task


def subnetwork_loss(task: Task, model: nn.Module, settings: Settings) -> nn.Module:
    """The task's loss around all capacities of a prunable network."""
    if not settings.compatible:
        return task.loss()
    weights = {"alignment": settings.alignment, "contrast": settings.contrast}
    if settings.space == "logit" and settings.positives != "image and class":
        return _OtherContrast(task, model, settings)
    if settings.space == "logit":
        return prunnet.CompatibleLoss(task.loss(), model, **weights)
    pairs = SupConLoss(temperature=task.recipe.temperature)
    compared = prunnet.CompatibleLoss(pairs, model, "embedding", **weights)
    return _OfEmbeddings(task.loss(), compared, model)


class _OtherContrast(nn.Module):
    """The library's loss, its contrast replaced by PML's with other positives."""

    def __init__(self, task: Task, model: nn.Module, settings: Settings) -> None:
        super().__init__()
        pairs = SupConLoss(TEMPERATURE, reducer=MeanReducer())
        self.rest = prunnet.CompatibleLoss(task.loss(), model, "logit", settings.alignment, 0.0)
        self.pairs = prunnet.CompatibleLoss(pairs, model, "embedding", 0.0, 0.0)
        self.weight, self.positives = settings.contrast, settings.positives
        self.model = [model]  # not a submodule

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        images = torch.arange(len(labels), device=labels.device)
        classes = labels if self.positives == "class" else images
        contrast: Tensor = self.pairs(embeddings, classes)  # keeps those of the dense pass
        total: Tensor = self.rest(embeddings, labels)
        if get_capacity(self.model[0]) < 1:
            total = total + self.weight * contrast
        return total


class _OfEmbeddings(nn.Module):
    """The dense network learns classes; subnetworks learn by a loss of pairs to meet it."""

    def __init__(self, classes: nn.Module, pairs: prunnet.CompatibleLoss, model: nn.Module) -> None:
        super().__init__()
        self.classes, self.pairs = classes, pairs
        self.model = [model]  # not a submodule

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        compared: Tensor = self.pairs(embeddings, labels)  # keeps those of the dense pass
        if get_capacity(self.model[0]) < 1:
            return compared
        of_classes: Tensor = self.classes(embeddings, labels)
        return of_classes
