"""What every method gets, whatever the data are."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import Tensor, nn

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import DIM, Recipe, batches, calibration_images, one_cycle
from prunnet_pml.evaluation.embed import Images

STEPS = 600
"""Optimizer steps of a budget; some tasks and methods have a multiple of them."""

CAPACITIES = (0.8, 0.6, 0.4, 0.2)
"""The capacities below 1 that a family has to have."""

MEASURED = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Those that are measured where a method gives them; every second one is not trained by name."""


class Task(ABC):
    """Data, a backbone, and a budget that is the same for every network of every method.

    Args:
        data: Makes a split, ``"train"`` or ``"test"``: an object with ``images``, ``labels``,
            ``characters`` and ``distortion``, as ``Glyphs`` is.
        recipe: Steps, batch, image size, seed.

    Attributes:
        recipe: As given.
        device: Where networks are trained and measured, the CPU until it is set. Images are drawn
            and distorted on the CPU, so that every device sees the same.
    """

    def __init__(self, data: Callable[..., Glyphs], recipe: Recipe) -> None:
        self.data, self.recipe = data, recipe
        self.device = torch.device("cpu")

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What decides the outcome, as JSON; two tasks that say the same are the same."""

    @abstractmethod
    def build(self, width: float) -> nn.Module:
        """The backbone, its widths times ``width``; 1 is the dense network."""

    @abstractmethod
    def optimizer(self, network: nn.Module, loss_func: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a network, prunable or not, and of its loss's class weights."""

    @abstractmethod
    def as_input(self, images: Tensor) -> Tensor:
        """Grey images in [0, 1] as the network takes them."""

    def in_times_the_steps(self, times: float) -> Task:
        """The same task with a budget of so many times the steps, and the same images in memory."""
        longer = copy.copy(self)
        longer.train, longer.test = self.train, self.test
        longer.recipe = replace(self.recipe, steps=round(times * self.recipe.steps))
        return longer

    def schedule(self, optimizer: torch.optim.Optimizer) -> Any:  # noqa: ANN401
        """The learning rates over all steps, to be stepped after each."""
        return one_cycle(optimizer, self.recipe)

    @cached_property
    def train(self) -> Glyphs:
        """The training split."""
        return self.data("train")

    @cached_property
    def test(self) -> Images:
        """The images that are searched, of classes never seen in training."""
        split = self.data("test")
        return split.images, split.labels

    def network(self, width: float = 1.0) -> nn.Module:
        """The backbone, untrained or pretrained; channels last, by which a CPU is faster.

        Networks of different widths start from different seeds, as separate trainings do.
        """
        torch.manual_seed(self.recipe.seed + round(100 * (1 - width**2)))
        return self.build(width).to(self.device, memory_format=torch.channels_last)

    def loss(self, kind: type[nn.Module] = NormalizedSoftmaxLoss) -> nn.Module:
        """The classification loss, with class weights of its own."""
        loss = kind(len(self.train.characters), DIM, temperature=self.recipe.temperature)
        return loss.to(self.device)

    def batches(self, title: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The training's batches ``([b, c, h, w], [b])``, the same for every method."""
        for images, labels in batches(self.train, self.recipe, title):
            yield self.as_input(images).to(self.device), labels.to(self.device)

    def calibration_images(self) -> list[Tensor]:
        """Batches of training images for norm statistics."""
        images = calibration_images(self.train, self.recipe)
        return [self.as_input(batch).to(self.device) for batch in images]

    def example(self, count: int) -> Tensor:
        """Training images, not distorted, ``[count, c, h, w]``."""
        return self.as_input(self.train.images[:count] / 255).to(self.device)

    @property
    def input_size(self) -> tuple[int, ...]:
        """(channels, height, width) of an image as the network takes it."""
        return tuple(self.example(1).shape[1:])
