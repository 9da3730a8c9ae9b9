"""Trains a family of networks by one named method and scores it.

    python benchmarks/method.py --list
    python benchmarks/method.py prunnet-default --seed 0   # minutes; benchmarks/results/methods/
    python benchmarks/method.py sfsc --steps 9 --output trial      # benchmarks/results/trial.json

Every method gets the same images, backbone, steps, optimizer and schedule, and leaves the same
JSON: the self/cross matrix of its family on classes never seen in training, parameters and seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict

import torch
from methods import METHODS, Family, Task
from results import write_results

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import Recipe
from prunnet_pml.evaluation import CompatibilityMatrix, embed


def score(family: Family, test: Glyphs) -> CompatibilityMatrix:
    """The matrix of any family, whatever its networks are."""
    images = test.images, test.labels
    embeddings = {capacity: embed(network, images)[0] for capacity, network in family.items()}
    return CompatibilityMatrix.from_embeddings(embeddings, test.labels, embeddings)


def main() -> None:
    """Trains, scores, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", nargs="?", choices=METHODS)
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", help="name under benchmarks/results/; default: by the method")
    arguments = parser.parse_args()
    if arguments.list or arguments.method is None:
        for name, method in METHODS.items():
            print(f"{name:22} {method.__doc__.splitlines()[0]}")
        return
    torch.set_num_threads(arguments.threads)
    recipe = Recipe(steps=arguments.steps, seed=arguments.seed)
    start = time.perf_counter()
    family = METHODS[arguments.method](Task(Glyphs("train"), recipe))
    seconds = time.perf_counter() - start
    matrix = score(family, Glyphs("test"))
    print(matrix.to_markdown())
    write_results(
        arguments.output or f"methods/{arguments.method}-glyphs-{arguments.seed}",
        {
            "method": arguments.method,
            "data": "glyphs",
            "recipe": asdict(recipe),
            "training_s": round(seconds, 1),
            "matrix": json.loads(matrix.to_json()),
        },
    )


if __name__ == "__main__":
    main()
