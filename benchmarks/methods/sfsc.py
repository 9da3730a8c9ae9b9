"""SFSC: a slimmable network whose widths learn by their uncertainty.

After `Switchable Representation Learning Framework with Self-compatibility
<https://arxiv.org/abs/2206.08289>`_ (CVPR 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor

import prunnet_pml as prunnet
from measure import TrainingBook
from methods.method import Family
from prunnet_pml.losses import EvidentialLoss
from prunnet_pml.losses.comparison import with_detached_weights
from prunnet_pml.slimmable import backward_widths, make_slimmable, narrowed
from tasks import CAPACITIES, Task


def sfsc(task: Task, book: TrainingBook) -> Family:
    """Losses by evidence, class weights moved by the widest alone, conflicts projected away."""
    widths = (1.0, *CAPACITIES)
    network, loss_func = make_slimmable(task.network(), widths), task.loss(EvidentialLoss)

    def run() -> None:
        optimizer = task.optimizer(network, loss_func)
        schedule = task.schedule(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        generator = torch.Generator().manual_seed(task.recipe.seed)
        for step, (images, labels) in enumerate(task.batches("sfsc")):
            loss_func.kl_weight = min(1.0, 2 * step / task.recipe.steps)

            def backward(capacity: float, images: Tensor = images, labels: Tensor = labels) -> None:
                embeddings = network(images)
                if capacity == 1:
                    loss_func(embeddings, labels).backward()
                else:
                    with_detached_weights(loss_func, embeddings, labels).backward()

            backward_widths(network, widths, parameters, backward, prunnet.PCGrad(), generator)
            optimizer.step()
            schedule.step()

    book.train("sfsc", {"network": network, "loss": loss_func}, run)
    return {c: narrowed(network, c, task.example(2)) for c in widths}
