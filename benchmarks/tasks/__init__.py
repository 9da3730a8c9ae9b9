"""What methods are compared on: data, backbone and budget.

A task is made from steps and a seed, and draws or reads its images only when they are asked for.
"""

from collections.abc import Callable
from pathlib import Path

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import Recipe
from tasks.clothes import Clothes
from tasks.mobilenet import MobileNetTask
from tasks.resnet import ResNet18Task, ResNetTask
from tasks.task import CAPACITIES, MEASURED, STEPS, Task
from tasks.vit import ViTTask


def _glyphs(steps: int, seed: int, _: Path | None) -> Task:
    return ResNetTask("glyphs", Glyphs, Recipe(steps=steps, seed=seed))


def _glyphs_longer(steps: int, seed: int, _: Path | None) -> Task:
    return ResNetTask("glyphs", Glyphs, Recipe(steps=5 * steps, seed=seed))


def _fashion_mnist(steps: int, seed: int, _: Path | None) -> Task:
    return ResNetTask("fashion-mnist", Clothes, Recipe(steps=steps, seed=seed, image_size=28))


def _fashion_mnist_longer(steps: int, seed: int, weights: Path | None) -> Task:
    return _fashion_mnist(5 * steps, seed, weights)


def _glyphs_mobilenet_longer(steps: int, seed: int, weights: Path | None) -> Task:
    return MobileNetTask(2 * steps, seed, weights)


def _glyphs_resnet18(steps: int, seed: int, _: Path | None) -> Task:
    steps, widths = round(steps * 10 / 3), (64, 128, 256, 512)
    recipe = Recipe(steps=steps, seed=seed, widths=widths, learning_rate=3e-3)
    return ResNet18Task("glyphs", Glyphs, recipe)


def _glyphs_vit(steps: int, seed: int, _: Path | None) -> Task:
    return ViTTask(Recipe(steps=round(steps * 5 / 3), seed=seed, learning_rate=1e-3))


TASKS: dict[str, Callable[[int, int, Path | None], Task]] = {
    "glyphs": _glyphs,
    "glyphs-longer": _glyphs_longer,  # in five times the steps
    "fashion-mnist": _fashion_mnist,
    "fashion-mnist-longer": _fashion_mnist_longer,  # in five times the steps
    "glyphs-mobilenet": MobileNetTask,
    "glyphs-mobilenet-longer": _glyphs_mobilenet_longer,  # in twice the steps
    "glyphs-resnet18": _glyphs_resnet18,  # of full width, 2000 steps: for a GPU
    "glyphs-vit": _glyphs_vit,  # 1000 steps: for a GPU
}
"""Every task by name: made from steps, seed and the file of pretrained weights, if it has any."""

__all__ = [
    "CAPACITIES",
    "MEASURED",
    "STEPS",
    "TASKS",
    "MobileNetTask",
    "ResNet18Task",
    "ResNetTask",
    "Task",
    "ViTTask",
]
