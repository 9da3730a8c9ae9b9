"""Trains a bundled config from beginning to end, as mmengine's Runner does, and keeps the matrix.

    python benchmarks/config.py glyphs_resnet10   # minutes; results/config_glyphs_resnet10.json

Times are those of the whole run: data, training, a validation after every epoch, checkpoints.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from prunnet_pml.registry.mmengine.bundled_configs import load_config
from results import write_results


def train(config: Config) -> dict[str, Any]:
    """What one run of a config reached, and how long it took."""
    start, processor = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        config.work_dir = folder
        runner = Runner.from_cfg(config)
        runner.train()
    [metric] = runner.val_evaluator.metrics
    return {
        "iterations": runner.iter,
        "wall_s": round(time.perf_counter() - start, 1),
        "processor_s": round(time.process_time() - processor, 1),
        "matrix": json.loads(metric.matrix.to_json()),
    }


def main() -> None:
    """Trains and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="one of those that `prunnet configs` lists")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    trained = train(load_config(arguments.config))
    results = {"config": arguments.config, "threads": arguments.threads, **trained}
    write_results(f"config_{arguments.config}", results)


if __name__ == "__main__":
    main()
