"""One network of every capacity: PrunNet in its variants, plain joint training, pruning alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

import prunnet_pml as prunnet
from methods.task import Family, Task
from prunnet_pml.demo.recipe import adamw, batches, calibration_images, one_cycle


def prunnet_default(task: Task) -> Family:
    """The library's defaults."""
    return _train(task, "default", lambda model: prunnet.CompatibleLoss(task.loss(), model))


def prunnet_published(task: Task) -> Family:
    """As in the paper: uniform scores, no alignment, shared parameters follow the dense network."""
    return _as_in_the_paper(task, "published", prunnet.ConflictAware(epsilon=1e-8))


def prunnet_authors_code(task: Task) -> Family:
    """As the authors' code computes it: of all conflicts of a gradient only the last survives."""
    integration = prunnet.ConflictAware(projection="last", epsilon=1e-8)
    return _as_in_the_paper(task, "authors' code", integration)


def joint(task: Task) -> Family:
    """The plain sum of all capacities' losses, nothing detached."""

    def loss(_: nn.Module) -> nn.Module:
        return task.loss()

    return _train(task, "joint", loss, integration=prunnet.Sum())


def magnitude_pruning(task: Task) -> Family:
    """A dense network trained as usual, its smallest weights pruned, its norms recalibrated."""
    model = prunnet.make_prunable(task.fit(task.network(), task.loss(), "dense"), task.capacities)
    prunnet.calibrate(model, calibration_images(task.train, task.recipe), task.capacities)
    return _pruned(model, task)


def _as_in_the_paper(task: Task, title: str, integration: prunnet.ConflictAware) -> Family:
    return _train(
        task,
        title,
        lambda model: prunnet.CompatibleLoss(task.loss(), model, alignment=0),
        initial_scores="uniform",
        integration=integration,
        shared="dense",
    )


def _train(
    task: Task,
    title: str,
    loss: Callable[[nn.Module], nn.Module],
    initial_scores: prunnet.network.InitialScores = "magnitude",
    **settings: Any,  # noqa: ANN401
) -> Family:
    """Trains a prunable network; ``settings`` are those of ``ConflictAwareOptimizer``."""
    recipe = task.recipe
    model = prunnet.make_prunable(task.network(), task.capacities, initial_scores=initial_scores)
    loss_func = loss(model)
    inner = adamw(model, loss_func, recipe)
    optimizer = prunnet.ConflictAwareOptimizer(inner, model, seed=recipe.seed, **settings)
    schedule = one_cycle(optimizer, recipe)
    for images, labels in batches(task.train, recipe, title):
        for _ in optimizer.capacities():
            loss_func(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    return _pruned(model, task)


def _pruned(model: nn.Module, task: Task) -> Family:
    return {capacity: prunnet.prune(model, capacity) for capacity in task.all_capacities}
