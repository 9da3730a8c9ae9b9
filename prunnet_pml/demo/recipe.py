"""How the demo's networks are trained: the four added lines, and the same loop without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import timm
import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import Tensor, nn
from tqdm import tqdm

from prunnet_pml.datasets import Glyphs
from prunnet_pml.losses import CompatibleLoss
from prunnet_pml.network import make_prunable
from prunnet_pml.optimizer import ConflictAwareOptimizer

DIM = 128
"""Size of the embedding."""


@dataclass(frozen=True)
class Recipe:
    """The demo's hyper-parameters, the same for every network that it trains.

    Attributes:
        image_size: Side of the images, in pixels.
        steps: Optimizer steps, of two passes each where a subnetwork takes part.
        batch_size: Images per step.
        learning_rate: Peak of the one-cycle schedule, of the backbone's weights and scores.
        class_learning_rate: The same, of the loss's class weights.
        weight_decay: AdamW's.
        temperature: Of the normalised softmax.
        widths: Channels of the four stages of a ResNet-10.
        seed: Of initial weights, batches, distortions and the integrator's orders.
    """

    image_size: int = 32
    steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 1e-2
    class_learning_rate: float = 1e-1
    weight_decay: float = 1e-2
    temperature: float = 0.05
    widths: tuple[int, int, int, int] = (24, 48, 96, 192)
    seed: int = 0


def build_network(recipe: Recipe) -> nn.Module:
    """A narrow timm ResNet-10 without pooling, for small grey images: 0.7 M parameters.

    Its tensors lie channels last, which convolutions on a CPU like better.
    """
    network: nn.Module = timm.create_model(
        "resnet18",
        layers=(1, 1, 1, 1),
        channels=recipe.widths,
        stem_type="deep",
        stem_width=recipe.widths[0] // 2,
        in_chans=1,
        num_classes=DIM,
    )
    network.maxpool = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def train_prunable(glyphs: Glyphs, recipe: Recipe) -> nn.Module:
    """One network of every capacity."""
    torch.manual_seed(recipe.seed)
    model = make_prunable(build_network(recipe))
    loss_func = CompatibleLoss(class_loss(glyphs, recipe), model)
    optimizer = ConflictAwareOptimizer(adamw(model, loss_func, recipe), model, seed=recipe.seed)
    schedule = one_cycle(optimizer, recipe)
    for images, labels in batches(glyphs, recipe, "prunable network"):
        for _ in optimizer.capacities():
            loss_func(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def train_alone(glyphs: Glyphs, recipe: Recipe) -> nn.Module:
    """The same network for as many steps on the same batches, as everybody trains one.

    It starts from other weights: from the same ones, it would end near the same embedding.
    """
    torch.manual_seed(recipe.seed + 1)
    model = build_network(recipe)
    loss_func = class_loss(glyphs, recipe)
    optimizer = adamw(model, loss_func, recipe)
    schedule = one_cycle(optimizer, recipe)
    for images, labels in batches(glyphs, recipe, "network alone"):
        optimizer.zero_grad()
        loss_func(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def calibration_images(glyphs: Glyphs, recipe: Recipe) -> list[Tensor]:
    """Distorted training images for norm statistics: 4 batches ``[512, 1, size, size]``."""
    generator = torch.Generator().manual_seed(recipe.seed)
    chosen = torch.randperm(len(glyphs), generator=generator)[:2048]
    return [_distorted(glyphs, indices, generator) for indices in chosen.split(512)]


def class_loss(glyphs: Glyphs, recipe: Recipe) -> nn.Module:
    """The loss of every network: a normalised softmax over the characters."""
    classes = len(glyphs.characters)
    loss: nn.Module = NormalizedSoftmaxLoss(classes, DIM, temperature=recipe.temperature)
    return loss


def adamw(model: nn.Module, loss_func: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with a learning rate of their own for the class weights, whose norm starts at 11."""
    groups: list[dict[str, Any]] = [
        {"params": list(model.parameters())},
        {"params": list(loss_func.parameters()), "lr": recipe.class_learning_rate},
    ]
    return torch.optim.AdamW(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)


def one_cycle(
    optimizer: torch.optim.Optimizer, recipe: Recipe
) -> torch.optim.lr_scheduler.OneCycleLR:
    """One cycle over all steps; to be stepped after every one."""
    peaks = [group["lr"] for group in optimizer.param_groups]
    rising = 0.2 if recipe.steps != 5 else 0.3  # torch divides by 0 where the first step is the top
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, recipe.steps, pct_start=rising)


def batches(glyphs: Glyphs, recipe: Recipe, title: str) -> Iterator[tuple[Tensor, Tensor]]:
    """``recipe.steps`` batches in epochs without replacement, each distorted as one."""
    generator = torch.Generator().manual_seed(recipe.seed)
    waiting = torch.empty(0, dtype=torch.long)
    for _ in tqdm(range(recipe.steps), desc=f"train {title}", unit="step", disable=None):
        if len(waiting) < recipe.batch_size:
            waiting = torch.randperm(len(glyphs), generator=generator)
        indices, waiting = waiting[: recipe.batch_size], waiting[recipe.batch_size :]
        yield _distorted(glyphs, indices, generator), glyphs.labels[indices]


def _distorted(glyphs: Glyphs, indices: Tensor, generator: torch.Generator) -> Tensor:
    images = glyphs.images[indices] / 255
    return images if glyphs.distortion is None else glyphs.distortion(images, generator)
