"""Slimmable networks: with the class loss, and as SFSC trains them.

SFSC is after `Switchable Representation Learning Framework with Self-compatibility
<https://arxiv.org/abs/2206.08289>`_ (CVPR 2023): its widths learn by their uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import prunnet_pml as prunnet
from measure import TrainingBook
from methods.channel_sizes import widths_of_channels
from methods.method import Family
from prunnet_pml.integration import Integrator
from prunnet_pml.losses import EvidentialLoss
from prunnet_pml.losses.comparison import with_detached_weights
from prunnet_pml.slimmable import backward_widths, make_slimmable, narrowed
from tasks import CAPACITIES, Task


def sfsc(task: Task, book: TrainingBook) -> Family:
    """Losses by evidence, class weights moved by the widest alone, conflicts projected away.

    Its widths have the parameters of the capacities.
    """
    shares = {c: c for c in CAPACITIES}
    return _train_widths(task, book, "sfsc", shares, task.loss(EvidentialLoss), prunnet.PCGrad())


def slimmable(task: Task, book: TrainingBook) -> Family:
    """The class loss alone, class weights moved by the widest alone, gradients summed.

    Its widths have the multiplications of the channel-pruned network's capacities.
    """
    shares = widths_of_slimmable(task)
    return _train_widths(task, book, "slimmable", shares, task.loss(), prunnet.Sum())


def widths_of_slimmable(task: Task) -> dict[float, float]:
    """The widths that multiply as often as the channel-pruned networks, as shares of parameters."""

    def build(width: float) -> nn.Module:
        network = make_slimmable(task.network(), (1.0, width**2))
        return narrowed(network, width**2, task.example(2))

    return {c: width**2 for c, width in widths_of_channels(task, build).items()}


def _train_widths(
    task: Task,
    book: TrainingBook,
    title: str,
    shares: Mapping[float, float],
    loss_func: nn.Module,
    integrator: Integrator,
) -> Family:
    """The family, its widths given by the share of the dense network's parameters."""
    widths = (1.0, *shares.values())
    network = make_slimmable(task.network(), widths)

    def run() -> None:
        optimizer = task.optimizer(network, loss_func)
        schedule = task.schedule(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        generator = torch.Generator().manual_seed(task.recipe.seed)
        for images, labels in task.batches(title):

            def backward(capacity: float, images: Tensor = images, labels: Tensor = labels) -> None:
                embeddings = network(images)
                if capacity == 1:
                    loss_func(embeddings, labels).backward()
                else:
                    with_detached_weights(loss_func, embeddings, labels).backward()

            backward_widths(network, widths, parameters, backward, integrator, generator)
            optimizer.step()
            schedule.step()

    book.train(title, {"network": network, "loss": loss_func}, run)
    return {
        c: narrowed(network, share, task.example(2)) for c, share in {1.0: 1.0, **shares}.items()
    }
