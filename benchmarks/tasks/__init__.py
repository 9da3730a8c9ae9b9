"""What methods are compared on: data, backbone and budget.

A task is made from steps and a seed, and draws or reads its images only when they are asked for.
"""

from collections.abc import Callable
from pathlib import Path

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import Recipe
from tasks.clothes import Clothes
from tasks.mobilenet import MobileNetTask
from tasks.resnet import ResNetTask
from tasks.task import CAPACITIES, MEASURED, Task


def _glyphs(steps: int, seed: int, _: Path | None) -> Task:
    return ResNetTask("glyphs", Glyphs, Recipe(steps=steps, seed=seed))


def _glyphs_longer(steps: int, seed: int, _: Path | None) -> Task:
    return ResNetTask("glyphs", Glyphs, Recipe(steps=5 * steps, seed=seed))


def _fashion_mnist(steps: int, seed: int, _: Path | None) -> Task:
    return ResNetTask("fashion-mnist", Clothes, Recipe(steps=steps, seed=seed, image_size=28))


TASKS: dict[str, Callable[[int, int, Path | None], Task]] = {
    "glyphs": _glyphs,
    "glyphs-longer": _glyphs_longer,  # in five times the steps
    "fashion-mnist": _fashion_mnist,
    "glyphs-mobilenet": MobileNetTask,
}
"""Every task by name: made from steps, seed and the file of pretrained weights, if it has any."""

__all__ = ["CAPACITIES", "MEASURED", "TASKS", "MobileNetTask", "ResNetTask", "Task"]
