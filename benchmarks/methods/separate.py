"""A network per size: narrower ones, trained for themselves or for what the dense one says."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from measure import TrainingBook
from methods.channel_sizes import widths_of_channels
from methods.fitting import fit, fit_dense
from methods.method import Family
from prunnet_pml.losses import AsymmetricRegressionLoss, InfluenceLoss
from tasks import CAPACITIES, Task

FAMILY = 1 + len(CAPACITIES)
"""How many networks share a step of a prunable network."""


def independent(task: Task, book: TrainingBook) -> Family:
    """Widths times sqrt(c), so that parameters match."""
    family = {1.0: fit_dense(task, book)[0]}
    for capacity in CAPACITIES:
        title = f"alone at {capacity:.0%}"
        family[capacity] = fit(task, book, title, _network(task, capacity), task.loss())
    return family


def independent_macs(task: Task, book: TrainingBook) -> Family:
    """Widths by which they multiply as often as the channel-pruned networks."""
    family = {1.0: fit_dense(task, book)[0]}
    for capacity, width in widths_of_channels(task, task.network).items():
        title = f"alone at the MACs of {capacity:.0%}"
        family[capacity] = fit(task, book, title, task.network(width), task.loss())
    return family


def dense_longer(task: Task, book: TrainingBook) -> Family:
    """The dense network alone, for as much computing as a family of five costs."""
    longer = task.in_times_the_steps(FAMILY)
    title = f"dense, {FAMILY} times the steps"
    return {1.0: fit(longer, book, title, task.network(), task.loss())}


def bct_per_size(task: Task, book: TrainingBook) -> Family:
    """Each smaller network has class weights of its own, and the influence loss of the dense's."""
    dense, dense_loss = fit_dense(task, book)
    family = {1.0: dense}
    influence = InfluenceLoss(dense_loss)
    for capacity in CAPACITIES:
        own = task.loss()

        def loss_of(_: Tensor, embeddings: Tensor, labels: Tensor, own: nn.Module = own) -> Tensor:
            total: Tensor = own(embeddings, labels) + influence(embeddings, labels)
            return total

        network = _network(task, capacity)
        family[capacity] = fit(task, book, f"bct {capacity:.0%}", network, own, loss_of)
    return family


def asymmetric(task: Task, book: TrainingBook) -> Family:
    """Every smaller network learns to embed an image where the dense one does."""
    dense, _ = fit_dense(task, book)
    regression = AsymmetricRegressionLoss()

    def loss_of(images: Tensor, embeddings: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad():
            references = dense(images)
        total: Tensor = regression(embeddings, ref_emb=references)
        return total

    family = {1.0: dense}
    for capacity in CAPACITIES:
        title, student = f"asymmetric {capacity:.0%}", _network(task, capacity)
        family[capacity] = fit(task, book, title, student, regression, loss_of)
    return family


def _network(task: Task, capacity: float) -> nn.Module:
    return task.network(math.sqrt(capacity))
