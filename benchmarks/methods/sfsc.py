"""SFSC: a slimmable network whose widths learn by their uncertainty.

After `Switchable Representation Learning Framework with Self-compatibility
<https://arxiv.org/abs/2206.08289>`_ (CVPR 2023).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

import prunnet_pml as prunnet
from methods.task import Family, Task
from prunnet_pml.demo.recipe import DIM, adamw, batches, one_cycle
from prunnet_pml.losses import EvidentialLoss
from prunnet_pml.losses.comparison import with_detached_weights
from prunnet_pml.slimmable import backward_widths, make_slimmable, set_width


def sfsc(task: Task) -> Family:
    """Losses by evidence, class weights moved by the widest alone, conflicts projected away."""
    recipe = task.recipe
    network = make_slimmable(task.network(), task.all_capacities)
    classes = len(task.train.characters)
    loss_func = EvidentialLoss(classes, DIM, temperature=recipe.temperature)
    optimizer = adamw(network, loss_func, recipe)
    schedule = one_cycle(optimizer, recipe)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    generator = torch.Generator().manual_seed(recipe.seed)
    for step, (images, labels) in enumerate(batches(task.train, recipe, "sfsc")):
        loss_func.kl_weight = min(1.0, 2 * step / recipe.steps)

        def backward(capacity: float, images: Tensor = images, labels: Tensor = labels) -> None:
            embeddings = network(images)
            if capacity == 1:
                loss_func(embeddings, labels).backward()
            else:
                with_detached_weights(loss_func, embeddings, labels).backward()

        backward_widths(
            network, task.all_capacities, parameters, backward, prunnet.PCGrad(), generator
        )
        optimizer.step()
        schedule.step()
    network.eval()
    return {c: set_width(copy.deepcopy(network), c) for c in task.all_capacities}
