"""What the full self/cross matrix costs, against embedding the images five times.

    python benchmarks/evaluate.py   # writes benchmarks/results/evaluate.json

The matrix of five capacities needs five passes of embedding; searching and scoring come on top.
Pairs of both in one process on one thread; the median of their ratios.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import timm
import torch
from tqdm import tqdm

import prunnet_pml as prunnet
from prunnet_pml.evaluation import embed
from results import write_results

IMAGES, PIXELS, CLASSES, PAIRS = 256, 128, 16, 3


def main() -> None:
    """Measures and writes the JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = prunnet.make_prunable(timm.create_model("resnet18", num_classes=128)).eval()
    data = torch.randn(IMAGES, 3, PIXELS, PIXELS), torch.arange(IMAGES) % CLASSES
    seconds: dict[str, list[float]] = {"embed": [], "evaluate": []}
    for i in tqdm(range(PAIRS + 1), disable=None):
        for name, run in (
            ("embed", lambda: [embed(model, data) for _ in range(5)]),
            ("evaluate", lambda: prunnet.evaluate(model, data)),
        ):
            elapsed = _seconds(run)
            if i:  # the first pair warms up
                seconds[name].append(elapsed)
    ratios = [e / p for e, p in zip(seconds["evaluate"], seconds["embed"], strict=True)]
    results = {
        "network": "resnet18",
        "images": IMAGES,
        "pixels": PIXELS,
        "five_embedding_passes_s": statistics.median(seconds["embed"]),
        "evaluate_s": statistics.median(seconds["evaluate"]),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "target": 1.1,
    }
    write_results("evaluate", results)


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
