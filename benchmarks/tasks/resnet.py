"""ResNets from scratch, on small grey images: the demo's narrow one, and one of full width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import timm
import torch
from torch import Tensor, nn

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import DIM, Recipe, adamw, build_network
from tasks.task import Task


class ResNetTask(Task):
    """The demo's network and recipe.

    Args:
        name: Of the data.
        data: As of every task.
        recipe: Network, steps and optimizer.
    """

    backbone = "resnet10"

    def __init__(self, name: str, data: Callable[..., Glyphs], recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.name = name

    def describe(self) -> dict[str, Any]:
        widths = list(self.recipe.widths)  # as JSON gives it back
        return {
            "data": self.name,
            "backbone": self.backbone,
            **asdict(self.recipe),
            "widths": widths,
        }

    def build(self, width: float) -> nn.Module:
        return build_network(replace(self.recipe, widths=self.widths(width)))

    def widths(self, width: float) -> tuple[int, ...]:
        """Channels of the stages of a network so wide; the stem has half of the first's."""
        return tuple(2 * round(width * channels / 2) for channels in self.recipe.widths)

    def optimizer(self, network: nn.Module, loss_func: nn.Module) -> torch.optim.Optimizer:
        return adamw(network, loss_func, self.recipe)

    def as_input(self, images: Tensor) -> Tensor:
        return images


class ResNet18Task(ResNetTask):
    """timm's ResNet-18-D in place of the narrow one, without pooling too."""

    backbone = "resnet18d"

    def build(self, width: float) -> nn.Module:
        widths = self.widths(width)
        network: nn.Module = timm.create_model(
            "resnet18d", channels=widths, stem_width=widths[0] // 2, in_chans=1, num_classes=DIM
        )
        network.maxpool = nn.Identity()
        return network
