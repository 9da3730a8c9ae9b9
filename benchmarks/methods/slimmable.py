"""SFSC on switchable widths: one network whose capacities are its first channels.

After `Switchable Representation Learning Framework with Self-compatibility
<https://arxiv.org/abs/2206.08289>`_ (CVPR 2023): capacity c runs the first sqrt(c) of every layer's
channels, so about c of the parameters, with batch norms of its own.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

import prunnet_pml as prunnet
from methods.task import Family, Task
from prunnet_pml.demo.recipe import DIM, adamw, batches, one_cycle
from prunnet_pml.gradient_rows import GradientRows
from prunnet_pml.losses import EvidentialLoss
from prunnet_pml.losses.comparison import with_detached_weights


class SlimConv2d(nn.Conv2d):
    """A convolution that computes its first channels from as many as it is given."""

    capacity = 1.0

    def forward(self, images: Tensor) -> Tensor:
        """``[batch, some in channels, h, w] -> [batch, some out channels, h, w]``."""
        channels = round(math.sqrt(self.capacity) * self.out_channels)
        return self._conv_forward(images, self.weight[:channels, : images.shape[1]], None)


class SlimLinear(nn.Linear):
    """A linear layer, all of its outputs, from as many features as it is given."""

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, some features] -> [batch, out_features]``."""
        return nn.functional.linear(features, self.weight[:, : features.shape[1]], self.bias)


class SwitchableBatchNorm2d(nn.Module):
    """A batch norm per capacity."""

    capacity = 1.0

    def __init__(self, channels: int, capacities: tuple[float, ...]) -> None:
        super().__init__()
        norms = {_key(c): nn.BatchNorm2d(round(math.sqrt(c) * channels)) for c in capacities}
        self.norms = nn.ModuleDict(norms)

    def forward(self, images: Tensor) -> Tensor:
        """``[batch, some channels, h, w]`` of the capacity's width."""
        normalized: Tensor = self.norms[_key(self.capacity)](images)
        return normalized


def make_slimmable(network: nn.Module, capacities: tuple[float, ...]) -> nn.Module:
    """Exchanges the layers of a network of plain convolutions and batch norms, in place."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d):
                child.__class__ = SlimConv2d
            elif isinstance(child, nn.Linear):
                child.__class__ = SlimLinear
            elif isinstance(child, nn.BatchNorm2d):
                setattr(module, name, SwitchableBatchNorm2d(child.num_features, capacities))
    return network


def set_width(network: nn.Module, capacity: float) -> nn.Module:
    """Runs the network at a capacity from now on."""
    for module in network.modules():
        if isinstance(module, SlimConv2d | SwitchableBatchNorm2d):
            module.capacity = capacity
    return network


def sfsc(task: Task) -> Family:
    """Losses by evidence, class weights moved by the widest alone, conflicts projected away."""
    recipe = task.recipe
    network = make_slimmable(task.network(), task.all_capacities)
    classes = len(task.train.characters)
    loss_func = EvidentialLoss(classes, DIM, temperature=recipe.temperature)
    optimizer = adamw(network, loss_func, recipe)
    schedule = one_cycle(optimizer, recipe)
    parameters = {p for group in optimizer.param_groups for p in group["params"]}
    generator = torch.Generator().manual_seed(recipe.seed)
    for step, (images, labels) in enumerate(batches(task.train, recipe, "sfsc")):
        loss_func.kl_weight = min(1.0, 2 * step / recipe.steps)
        rows = GradientRows()
        for index, capacity in enumerate(task.all_capacities):
            embeddings = set_width(network, capacity)(images)
            optimizer.zero_grad()
            if capacity == 1:
                loss_func(embeddings, labels).backward()
            else:
                with_detached_weights(loss_func, embeddings, labels).backward()
            for parameter in parameters:
                if parameter.grad is not None:
                    gradient, parameter.grad = parameter.grad, None
                    rows.add(parameter, index, len(task.all_capacities), gradient)
        rows.integrate(parameters, prunnet.PCGrad(), generator)
        optimizer.step()
        schedule.step()
    network.eval()
    return {c: set_width(copy.deepcopy(network), c) for c in task.all_capacities}


def _key(capacity: float) -> str:
    return f"{capacity:g}".replace(".", "_")
