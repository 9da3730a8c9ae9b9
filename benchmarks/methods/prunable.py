"""One network of every capacity: PrunNet in its variants, plain joint training, pruning alone."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.optim.swa_utils import update_bn

import prunnet_pml as prunnet
from measure import TrainingBook
from methods.fitting import fit_dense
from methods.method import Family, Method
from methods.norm_statistics import Norms, read
from methods.settings import Settings
from methods.subnetwork_loss import subnetwork_loss
from prunnet_pml.network import reset_scores, scored_layers
from tasks import CAPACITIES, MEASURED, Task


def prunnet_method(
    settings: Settings, summary: str, *, norms: Norms = "calibrated", only_trained: bool = False
) -> Method:
    """A method that trains a prunable network.

    Args:
        settings: How.
        summary: As of the method.
        norms: Which statistics the capacities are read with.
        only_trained: Whether capacities other than the trained ones are left unmeasured.
    """
    capacities = (1.0, *CAPACITIES) if only_trained else MEASURED

    def train(task: Task, book: TrainingBook) -> Family:
        model = train_prunable(task, book, settings)
        return read(model, task, capacities, norms)

    return Method(train, summary, {**settings.describe(), "norms": norms})


def no_training(task: Task, _: TrainingBook) -> Family:
    """The floor: the network as it starts, its smallest weights pruned, its norms calibrated."""
    model = prunnet.make_prunable(task.network().eval(), CAPACITIES)
    return read(model, task, MEASURED, "calibrated")


def magnitude_pruning(task: Task, book: TrainingBook) -> Family:
    """Of every layer of a dense network the same share of weights pruned, norms recalibrated."""
    model = prunnet.make_prunable(fit_dense(task, book)[0], CAPACITIES)
    return read(model, task, MEASURED, "calibrated")


def global_magnitude_pruning(task: Task, book: TrainingBook) -> Family:
    """The smallest weights of all these layers together pruned, by torch's own pruning."""
    dense, _ = fit_dense(task, book)
    names = scored_layers(prunnet.make_prunable(task.network(), CAPACITIES))
    family = {}
    for capacity in MEASURED:
        network = copy.deepcopy(dense).to(memory_format=torch.contiguous_format)  # for its views
        layers = [(network.get_submodule(name), "weight") for name in names]
        prune.global_unstructured(layers, prune.L1Unstructured, amount=1 - capacity)
        for layer, weight in layers:
            prune.remove(layer, weight)
        update_bn(task.calibration_images(), network)
        family[capacity] = network.eval().to(memory_format=torch.channels_last)
    return family


def train_prunable(task: Task, book: TrainingBook, settings: Settings) -> nn.Module:
    """A prunable network, trained."""
    task = task.in_times_the_steps(settings.times_the_steps)
    channel = settings.granularity == "channel"
    model = prunnet.make_prunable(
        task.network(),
        settings.capacities,
        initial_scores=settings.initial_scores,
        granularity=settings.granularity,
        round_to=settings.round_to,
        score_depthwise=settings.score_depthwise,
        example_input=task.example(2) if channel else None,
    )
    for score in prunnet.score_parameters(model):
        score.requires_grad_(settings.scores == "learned")
    loss_func = subnetwork_loss(task, model, settings)
    run = partial(_run, task, model, loss_func, settings)
    book.train("prunable", {"network": model, "loss": loss_func}, run, settings.describe())
    return model.eval()


def _run(task: Task, model: nn.Module, loss_func: nn.Module, settings: Settings) -> None:
    model.train()
    optimizer = prunnet.ConflictAwareOptimizer(
        task.optimizer(model, loss_func),
        model,
        settings.integrator(model),
        shared=settings.shared,
        seed=task.recipe.seed,
        dense_steps=round(settings.dense_share * task.recipe.steps),
        subnetworks_per_step=settings.subnetworks_per_step,
        between=settings.between,
    )
    schedule = task.schedule(optimizer)
    draws = _draws(settings, task.recipe.seed)
    for batches in batches_of_steps(task, settings):
        if settings.drawn:
            _train_at(model, next(draws))
        for capacity in optimizer.capacities():
            images, labels = next(batches)
            if settings.batches == "one for each" and settings.compatible and capacity < 1:
                with torch.no_grad(), prunnet.capacity(model, 1.0):
                    loss_func(model(images), labels)  # what the subnetwork's are compared with
            loss_func(model(images), labels).backward()
        optimizer.step()
        schedule.step()
        if settings.scores == "magnitude":
            reset_scores(model, "magnitude")
    _train_at(model, settings.capacities)


def batches_of_steps(task: Task, settings: Settings) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """For every step the batches of its capacities, the dense network's first."""
    title = f"prunable, {settings.granularity}"
    if settings.batches == "one for each":
        count = 1 + (settings.subnetworks_per_step or len(settings.capacities) + settings.drawn)
        each = task.in_times_the_steps(count).batches(title)
        yield from itertools.repeat(each, task.recipe.steps)
        return
    before = None
    for batch in task.batches(title):
        of_subnetworks = before if before and settings.batches == "the one before" else batch
        yield itertools.chain([batch], itertools.repeat(of_subnetworks))
        before = batch


def _draws(settings: Settings, seed: int) -> Iterator[tuple[float, ...]]:
    """The capacities of every step: the fixed ones and those that are drawn, largest first."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        drawn = 0.1 + 0.89 * torch.rand(settings.drawn, generator=generator, dtype=torch.float64)
        yield tuple(sorted({*settings.capacities, *(round(c, 4) for c in drawn.tolist())})[::-1])


def _train_at(model: nn.Module, capacities: tuple[float, ...]) -> None:
    for layer in scored_layers(model).values():
        layer.trained_capacities = capacities
