"""Make a pretrained backbone prunable while it is fine-tuned.

    python examples/fine_tune.py                          # timm's ImageNet weights, downloaded;
                                                          # ten minutes or so on two cores
    python examples/fine_tune.py --weights mobilenet.pt   # a checkpoint on disk

Scores start from the magnitudes of the pretrained weights, the default of ``make_prunable``: every
capacity begins as the magnitude-pruned backbone. A small learning rate keeps what the weights know,
a larger one lets the scores find other ranks.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

import timm
import torch
from pytorch_metric_learning import losses
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from tqdm import tqdm

import prunnet_pml as prunnet
from prunnet_pml.datasets import Glyphs
from prunnet_pml.evaluation import write_text

PIXELS, DIM = 64, 128


def backbone(weights: Path | None) -> nn.Module:
    """MobileNetV2 with a new embedding head."""
    network: nn.Module = timm.create_model(
        "mobilenetv2_100", pretrained=weights is None, num_classes=DIM
    )
    if weights is not None:
        load_by_position(network, torch.load(weights, weights_only=True))
    return network


def load_by_position(network: nn.Module, given: dict[str, Tensor]) -> None:
    """Loads a checkpoint whose tensors come in the network's order under names of its own.

    Raises:
        ValueError: If the shapes of the two don't follow each other; the network is as it was.
    """
    own = {key: t for key, t in network.state_dict().items() if "classifier" not in key}
    tensors = list(given.values())[: len(own)]
    shapes, expected = [t.shape for t in tensors], [t.shape for t in own.values()]
    if shapes != expected:
        raise ValueError("`weights` should hold the tensors of mobilenetv2_100 in its order.")
    network.load_state_dict(dict(zip(own, tensors, strict=True)), strict=False)


def in_colour(image: Tensor) -> Tensor:
    """``[1, size, size] -> [3, size, size]``, normalised as ImageNet's images are."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (image - mean[:, None, None]) / std[:, None, None]


def main() -> None:
    """Fine-tunes, measures, prints and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--output", type=Path, default=Path("fine_tune.json"))
    arguments = parser.parse_args()
    torch.manual_seed(0)
    train, test = (Glyphs(split, size=PIXELS, transform=in_colour) for split in ("train", "test"))
    sampler = RandomSampler(train, num_samples=arguments.batch_size * arguments.steps)
    loader = DataLoader(train, arguments.batch_size, sampler=sampler)

    model = prunnet.make_prunable(backbone(arguments.weights))
    loss = losses.NormalizedSoftmaxLoss(len(train.characters), DIM, temperature=0.05)
    loss_func = prunnet.CompatibleLoss(loss, model)
    scores, head = prunnet.score_parameters(model), [*model.get_classifier().parameters()]
    quick = {id(parameter) for parameter in (*scores, *head)}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in quick], "lr": 2e-3},
        {"params": [*scores, *head], "lr": 1e-2},
        {"params": loss_func.parameters(), "lr": 1e-1},
    ]
    optimizer = prunnet.ConflictAwareOptimizer(torch.optim.AdamW(groups), model)
    peaks = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, arguments.steps)

    for images, labels in tqdm(loader, disable=None):
        for _ in optimizer.capacities():
            loss_func(model(images), labels).backward()
        optimizer.step()
        schedule.step()

    tenths = [n / 10 for n in range(1, 11)]
    prunnet.calibrate(model, islice(loader, 40), tenths)  # exact norm statistics
    matrix = prunnet.evaluate(model, test)
    print(matrix.to_markdown())
    weights = "timm's ImageNet weights" if arguments.weights is None else arguments.weights.name
    results = {
        "steps": arguments.steps,
        "weights": weights,
        "matrix": json.loads(matrix.to_json()),
    }
    write_text(arguments.output, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
