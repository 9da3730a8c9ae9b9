"""The demo's narrow ResNet-10 from scratch, on small grey images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import Recipe, adamw, build_network
from tasks.task import Task


class ResNetTask(Task):
    """The demo's network and recipe.

    Args:
        name: Of the data.
        data: As of every task.
        recipe: Network, steps and optimizer.
    """

    def __init__(self, name: str, data: Callable[..., Glyphs], recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.name = name

    def describe(self) -> dict[str, Any]:
        widths = list(self.recipe.widths)  # as JSON gives it back
        return {"data": self.name, "backbone": "resnet10", **asdict(self.recipe), "widths": widths}

    def build(self, width: float) -> nn.Module:
        widths = tuple(2 * round(width * w / 2) for w in self.recipe.widths)  # the stem halves it
        return build_network(replace(self.recipe, widths=widths))

    def optimizer(self, network: nn.Module, loss_func: nn.Module) -> torch.optim.Optimizer:
        return adamw(network, loss_func, self.recipe)

    def as_input(self, images: Tensor) -> Tensor:
        return images
