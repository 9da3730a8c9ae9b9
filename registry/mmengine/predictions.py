"""What an embedder hands to ``CompatibilityMetric``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def predictions(
    embeddings: Mapping[float, Tensor], labels: Tensor | None = None
) -> list[dict[str, Any]]:
    """A batch's embeddings at several capacities, normalised, image by image.

    Args:
        embeddings: ``[b, d]`` by capacity.
        labels: ``[b]``.

    Returns:
        For every image its ``embeddings`` ``[capacities, d]``, the ``capacities``, its ``label``.
    """
    found = [nn.functional.normalize(rows.float(), dim=1) for rows in embeddings.values()]
    images = torch.stack(found, dim=1).cpu()  # [b, capacities, d]
    numbers = [None] * len(images) if labels is None else labels.tolist()
    return [
        {"embeddings": rows, "capacities": tuple(embeddings), "label": label}
        for rows, label in zip(images, numbers, strict=True)
    ]
