"""What searching Fashion-MNIST by its pixels finds: what a network has to beat.

    python benchmarks/pixels.py      # half a minute; benchmarks/results/pixels.json

Pixels are L2-normalised; every test image is searched in all others, by label.
"""

from __future__ import annotations

import argparse

from torch.nn.functional import normalize

from prunnet_pml.datasets import FashionMNIST
from prunnet_pml.evaluation import CompatibilityMatrix
from results import write_results


def searched(held_out: bool, k: int | None = None) -> dict[str, float]:
    """Metric -> what the pixels of the test split find among their ``k`` nearest."""
    test = FashionMNIST(split="test", held_out=held_out)
    pixels = normalize(test.images.flatten(1).float())
    matrix = CompatibilityMatrix.from_embeddings({1.0: pixels}, test.labels, k=k)
    return {name: round(matrix.value(name, 1.0, 1.0), 4) for name in matrix.values}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # there is no choice
    full = searched(True, k=4999)["mean_average_precision"]
    found = {"held_out": searched(True), "held_out_full_map": full, "all_classes": searched(False)}
    write_results("pixels", found)
