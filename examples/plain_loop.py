"""Train every capacity in a loop of your own, then prune and measure.

    python examples/plain_loop.py                # minutes on two cores; leaves student.pt
    python examples/plain_loop.py --steps 20     # a first look

The loop is the one you have; the four lines that prunnet_pml adds to it are numbered.
"""

from __future__ import annotations

import argparse
from itertools import islice

import timm
import torch
from pytorch_metric_learning import losses
from torch.utils.data import DataLoader, RandomSampler
from tqdm import tqdm

import prunnet_pml as prunnet
from prunnet_pml.datasets import Glyphs


def main() -> None:
    """Trains, prunes, measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    train, test = Glyphs("train"), Glyphs("test")
    loader = DataLoader(train, batch_size=64, sampler=RandomSampler(train, num_samples=64 * steps))
    network = timm.create_model("test_resnet", in_chans=1, num_classes=64)

    model = prunnet.make_prunable(network)  # 1
    loss = losses.NormalizedSoftmaxLoss(len(train.characters), 64, temperature=0.05)
    loss_func = prunnet.CompatibleLoss(loss, model)  # 2
    groups = [{"params": model.parameters()}, {"params": loss_func.parameters(), "lr": 0.1}]
    adamw = torch.optim.AdamW(groups, lr=0.01)
    optimizer = prunnet.ConflictAwareOptimizer(adamw, model)  # 3
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [0.01, 0.1], steps)

    for images, labels in tqdm(loader, disable=None):
        for _ in optimizer.capacities():  # 4
            loss_func(model(images), labels).backward()
        optimizer.step()
        schedule.step()

    tenths = [n / 10 for n in range(1, 11)]
    prunnet.calibrate(model, islice(loader, 30), tenths)  # exact norm statistics
    print(prunnet.evaluate(model, test).to_markdown())
    student = prunnet.prune(model, capacity=0.2)  # a plain timm network
    torch.save(student.state_dict(), "student.pt")


if __name__ == "__main__":
    main()
