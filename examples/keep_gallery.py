"""Make the network that you run already prunable, and keep the gallery that it has indexed.

    python examples/keep_gallery.py               # minutes on two cores; writes keep_gallery.json
    python examples/keep_gallery.py --steps 20    # a first look

A dense network, trained without prunnet_pml, has indexed a gallery. Its frozen copy is the anchor:
for some epochs every capacity, the dense network too, learns to embed an image where the anchor
does. No labels are needed, and afterwards queries of all capacities search the old gallery.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from tqdm import tqdm

import prunnet_pml as prunnet
from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import Recipe, calibration_images, train_alone
from prunnet_pml.evaluation import CompatibilityMatrix, embed, embed_capacities, write_text


def make_prunable_around(
    anchor: nn.Module, loader: DataLoader[tuple[Tensor, int]], learning_rate: float
) -> nn.Module:
    """A prunable copy of ``anchor`` whose capacities all embed where the anchor does."""
    anchor.eval()
    model = prunnet.make_prunable(copy.deepcopy(anchor))
    adamw = torch.optim.AdamW(model.parameters(), learning_rate)
    optimizer = prunnet.ConflictAwareOptimizer(adamw, model)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, len(loader))
    model.train()
    for images, _ in tqdm(loader, desc="anchor", disable=None):
        with torch.no_grad():
            target = anchor(images)  # [batch, dim]
        for _ in optimizer.capacities():
            similarity = nn.functional.cosine_similarity(model(images), target)
            (1 - similarity).mean().backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def recalls(model: nn.Module, gallery: Tensor, test: Glyphs) -> dict[str, float]:
    """Recall@1 of each capacity's queries in a gallery that is given, leave-one-out."""
    capacities = (1.0, *prunnet.trained_capacities(model))
    queries, labels = embed_capacities(model, (test.images, test.labels), capacities)
    matrix = CompatibilityMatrix.from_embeddings(queries, labels, {1.0: gallery})
    return {f"{c:g}": round(matrix.value("recall_at_1", c, 1.0), 4) for c in capacities}


def main() -> None:
    """Trains, anchors, measures, prints and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of anchored training")
    parser.add_argument("--dense-steps", type=int, default=600, help="your network's own training")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--output", type=Path, default=Path("keep_gallery.json"))
    arguments = parser.parse_args()
    torch.manual_seed(0)

    # What you have: a trained network, and the gallery that it has indexed.
    train, test = Glyphs("train"), Glyphs("test")
    recipe = Recipe(steps=arguments.dense_steps)
    network = train_alone(train, recipe)
    gallery, _ = embed(network, (test.images, test.labels))

    # What you do.
    sampler = RandomSampler(train, num_samples=64 * arguments.steps)
    loader = DataLoader(train, batch_size=64, sampler=sampler)
    model = make_prunable_around(network, loader, arguments.learning_rate)

    # What you get, and what pruning alone would have given; norm statistics of both are exact.
    images = calibration_images(train, recipe)
    prunnet.calibrate(model, images)
    pruned = prunnet.make_prunable(copy.deepcopy(network))
    prunnet.calibrate(pruned, images, prunnet.trained_capacities(pruned))
    results = {
        "steps": arguments.steps,
        "dense_steps": arguments.dense_steps,
        "recall_at_1_in_the_old_gallery": {
            "anchored": recalls(model, gallery, test),
            "magnitude_pruned": recalls(pruned, gallery, test),
        },
    }
    print(json.dumps(results, indent=2))
    write_text(arguments.output, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
