"""What the networks of a family find in one another's galleries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from prunnet_pml.evaluation import CompatibilityMatrix, embed
from prunnet_pml.evaluation.embed import Images

METRICS = ("recall_at_1", "mean_average_precision_at_r")


def compare(family: Mapping[float, nn.Module], test: Images) -> dict[str, Any]:
    """The whole matrix, every network's queries in every network's gallery.

    Returns:
        What ``CompatibilityMatrix.from_json`` reads, of two metrics.
    """
    embeddings, labels = {}, None
    for capacity, network in family.items():
        embeddings[capacity], labels = embed(network, test)
    matrix = CompatibilityMatrix.from_embeddings(embeddings, labels)
    document = json.loads(matrix.to_json())
    document["values"] = {
        metric: [[round(value, 5) for value in row] for row in document["values"][metric]]
        for metric in METRICS
    }
    return document
