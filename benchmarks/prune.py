"""How long pruning a resnet50 takes, from the prunable network to a plain one.

python benchmarks/prune.py      # writes benchmarks/results/prune.json
"""

from __future__ import annotations

import statistics
import time

import timm
import torch

import prunnet_pml as prunnet
from results import write_results

CAPACITIES = (0.2, 0.5, 0.8)
REPEATS = 5


def main() -> None:
    """Measures and writes the JSON."""
    torch.set_num_threads(1)
    model = prunnet.make_prunable(timm.create_model("resnet50", num_classes=128))
    seconds: dict[float, list[float]] = {capacity: [] for capacity in CAPACITIES}
    for _ in range(REPEATS):
        for capacity in CAPACITIES:
            start = time.process_time()
            prunnet.prune(model, capacity)
            seconds[capacity].append(time.process_time() - start)
    medians = {f"{capacity:g}": statistics.median(found) for capacity, found in seconds.items()}
    write_results("prune", {"network": "resnet50", "target_s": 1.0, "median_s": medians})


if __name__ == "__main__":
    main()
