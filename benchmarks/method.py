"""Trains a family of networks by one named method on one task, and measures it.

    python benchmarks/method.py --list
    python benchmarks/method.py prunnet-default --seed 0   # minutes; benchmarks/results/study/
    python benchmarks/method.py sfsc --data fashion-mnist --steps 9 --results /tmp/trial

Every method gets the same images, backbone, steps, optimizer and schedule, and leaves the same
JSON: the self/cross matrix of its family on classes never seen in training, what every network
weighs and how fast it is, and what the trainings cost. ``benchmarks/study.py`` runs many.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import results
from measure import TrainingBook, compare, describe_members
from measure.clock import device_name
from methods import METHODS, VARIANTS
from prunnet_pml.demo.recipe import Recipe
from study_files import name_of_run, recipe_of
from tasks import STEPS, TASKS, Task

LATENCY_BATCH = 32


def run(name: str, task: Task, book: TrainingBook) -> dict[str, object]:
    """Trains, measures, and returns what belongs in the JSON."""
    family = (METHODS | VARIANTS)[name].train(task, book)
    return {
        "method": name,
        "recipe": recipe_of(name, task),
        "device": device_name(task.device),
        "trainings": book.costs,
        "members": describe_members(family, task.example(LATENCY_BATCH)),
        "matrix": compare(family, task.test),
    }


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", nargs="?", choices=[*METHODS, *VARIANTS], metavar="METHOD")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--data", choices=TASKS, default="glyphs")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--weights", type=Path, help="pretrained weights of glyphs-mobilenet")
    parser.add_argument("--store", type=Path, help="where to keep trainings; nowhere by default")
    parser.add_argument("--results", type=Path, help="in place of benchmarks/results")
    arguments = parser.parse_args()
    if arguments.list or arguments.method is None:
        for name, method in (METHODS | VARIANTS).items():
            print(f"{name:42} {method.summary}")
        return
    torch.set_num_threads(arguments.threads)
    if arguments.device != "cpu":
        torch.set_float32_matmul_precision("high")  # TF32
    task = TASKS[arguments.data](arguments.steps, arguments.seed, arguments.weights)
    task.device = torch.device(arguments.device)
    document = run(arguments.method, task, TrainingBook(task, arguments.store))
    if arguments.results is not None:
        results.FOLDER = arguments.results
    results.write_results(
        name_of_run(arguments.data, arguments.method, arguments.seed),
        {"data": arguments.data, "seed": arguments.seed, **document},
    )


if __name__ == "__main__":
    main()
