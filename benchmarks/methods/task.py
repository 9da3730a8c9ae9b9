"""What every method gets: data, backbone and budget, and one loop to train one network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import Recipe, adamw, batches, build_network, class_loss, one_cycle

Family: TypeAlias = dict[float, nn.Module]
"""A trained network in eval mode for every capacity, 1.0 first."""


@dataclass(frozen=True)
class Task:
    """One data set, one backbone, one budget.

    Attributes:
        train: The training split.
        recipe: Backbone, steps and optimizer, the same for every network of every method.
        capacities: The capacities below 1 that a family has to have.
    """

    train: Glyphs
    recipe: Recipe
    capacities: tuple[float, ...] = (0.8, 0.6, 0.4, 0.2)

    @property
    def all_capacities(self) -> tuple[float, ...]:
        """The dense network's, then the others."""
        return (1.0, *self.capacities)

    def network(self, capacity: float = 1.0) -> nn.Module:
        """The backbone, untrained; its widths times sqrt(capacity), so that parameters match.

        Networks of different capacities start from different seeds, as separate trainings do.
        """
        torch.manual_seed(self.recipe.seed + round(100 * (1 - capacity)))
        width = math.sqrt(capacity)
        widths = tuple(2 * round(width * w / 2) for w in self.recipe.widths)  # the stem halves it
        return build_network(replace(self.recipe, widths=widths))

    def loss(self) -> nn.Module:
        """The classification loss, with class weights of its own."""
        return class_loss(self.train, self.recipe)

    def fit(
        self,
        network: nn.Module,
        loss_func: nn.Module,
        title: str,
        loss_of: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    ) -> nn.Module:
        """Trains one network as everybody does.

        Args:
            network: What to train.
            loss_func: What holds the class weights, trained along.
            title: Of the progress bar.
            loss_of: ``(images, embeddings, labels) -> loss``; by default ``loss_func`` alone.
        """
        optimizer = adamw(network, loss_func, self.recipe)
        schedule = one_cycle(optimizer, self.recipe)
        for images, labels in batches(self.train, self.recipe, title):
            embeddings = network(images)
            optimizer.zero_grad()
            if loss_of is None:
                loss_func(embeddings, labels).backward()
            else:
                loss_of(images, embeddings, labels).backward()
            optimizer.step()
            schedule.step()
        return network.eval()
