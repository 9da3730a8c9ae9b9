"""timm's MobileNetV2 with its ImageNet weights, fine-tuned on glyphs as the example does."""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from timm.models.efficientnet import _gen_mobilenet_v2
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import Recipe
from prunnet_pml.evaluation.embed import Images
from prunnet_pml.network import is_prunable
from tasks.task import Task

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "fine_tune.py"))
"""``examples/fine_tune.py``: its network and its images."""

LEARNING_RATES = {"weights": 2e-3, "scores and head": 1e-2, "classes": 1e-1}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class MobileNetTask(Task):
    """Glyphs in three channels. Narrower networks start from nothing: no weights fit them.

    Args:
        steps: Optimizer steps of a training.
        seed: As of every task.
        weights: The checkpoint with the ImageNet weights; timm's download by default.
        data: As of every task.
    """

    def __init__(
        self,
        steps: int,
        seed: int,
        weights: Path | None = None,
        data: Callable[..., Glyphs] = Glyphs,
    ) -> None:
        pixels = EXAMPLE["PIXELS"]
        recipe = Recipe(image_size=pixels, steps=steps, batch_size=48, seed=seed)
        super().__init__(partial(data, size=pixels), recipe)
        self.weights = weights

    @cached_property
    def test(self) -> Images:
        return self.data("test", transform=EXAMPLE["in_colour"])

    def describe(self) -> dict[str, Any]:
        shared = ("image_size", "steps", "batch_size", "temperature", "seed")
        return {
            "data": "glyphs",
            "backbone": "mobilenetv2_100",
            "weights": "timm" if self.weights is None else _sha256(self.weights),
            **{name: getattr(self.recipe, name) for name in shared},
            "learning_rates": LEARNING_RATES,
        }

    def build(self, width: float) -> nn.Module:
        network: nn.Module
        if width == 1:
            network = EXAMPLE["backbone"](self.weights)
        else:
            network = _gen_mobilenet_v2("mobilenetv2_100", width, num_classes=EXAMPLE["DIM"])
        return network

    def optimizer(self, network: nn.Module, loss_func: nn.Module) -> torch.optim.Optimizer:
        scores = prunnet.score_parameters(network) if is_prunable(network) else []
        quick = [*scores, *network.get_classifier().parameters()]
        known = {id(parameter) for parameter in quick}
        rest = [p for p in network.parameters() if id(p) not in known]
        groups = zip((rest, quick, loss_func.parameters()), LEARNING_RATES.values(), strict=True)
        return torch.optim.AdamW([{"params": [*params], "lr": lr} for params, lr in groups])

    def as_input(self, images: Tensor) -> Tensor:
        coloured: Tensor = EXAMPLE["in_colour"](images)
        return coloured
