"""The model card of a folder: metadata that the Hub renders, a page that people read, pictures."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from prunnet_pml.evaluation import (
    METRICS,
    CompatibilityMatrix,
    plot_capacity_curve,
    plot_matrix,
    save_figure,
    write_text,
)
from prunnet_pml.hub.card_text import CURVE, EVALUATION, MATRIX, card_text
from prunnet_pml.hub.fields import read_json
from prunnet_pml.hub.layout import CONFIG
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.record_names import percent

CARD = "README.md"

_TASK = "image-feature-extraction"  # the nearest task that the Hub knows
_TAGS = ["prunnet_pml", "timm", "metric-learning", "image-retrieval", "asymmetric-retrieval"]


def write_card(
    folder: str | os.PathLike[str],
    evaluation: CompatibilityMatrix | str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    license: str | None = None,
    data: str | None = None,
    recipe: str | Mapping[str, object] | None = None,
    metric: str | None = None,
) -> Path:
    """Writes a model card into a folder, with what was measured as a table and two pictures.

    Args:
        folder: What :func:`prunnet_pml.hub.save_pretrained` wrote.
        evaluation: What :func:`prunnet_pml.evaluation.evaluate` returned, or its JSON.
        name: The repository that the folder is for, ``"owner/name"``, as the examples of the card
            name it; by default the folder's name.
        license: The Hub's identifier of a licence, such as ``"apache-2.0"``.
        data: What the network was trained and measured on; the first words, up to a comma or a
            stop, become the name of the data set.
        recipe: How it was trained: a text in Markdown, or settings by name.
        metric: The metric of the table and the pictures; by default R@1, or the first there is.

    Returns:
        The path of the card.

    Raises:
        ValueError: If the folder is none of ``save_pretrained``, the evaluation is no matrix, or
            has no such metric, or was made without the dense network's gallery.
    """
    folder = Path(folder)
    matrix: CompatibilityMatrix | None = None
    if isinstance(evaluation, CompatibilityMatrix):
        matrix = evaluation
    elif evaluation is not None:
        matrix = CompatibilityMatrix.from_json(evaluation)
    card = make_card(
        folder, matrix, name=name, license=license, data=data, recipe=recipe, metric=metric
    )
    if matrix is not None:
        metric = _metric(matrix, metric)
        matrix.to_json(folder / EVALUATION)
        save_figure(plot_matrix(matrix, metric), folder / MATRIX)
        save_figure(plot_capacity_curve(matrix, metric), folder / CURVE)
    write_text(folder / CARD, str(card))
    return folder / CARD


def make_card(
    folder: Path,
    matrix: CompatibilityMatrix | None = None,
    *,
    name: str | None = None,
    license: str | None = None,
    data: str | None = None,
    recipe: str | Mapping[str, object] | None = None,
    metric: str | None = None,
) -> ModelCard:
    """The card that :func:`write_card` writes; nothing is written."""
    manifest, architecture = Manifest.read(folder), read_json(folder / CONFIG).get("architecture")
    name = name or folder.resolve().name
    metric = None if matrix is None else _metric(matrix, metric)
    metadata = ModelCardData(
        license=license,
        library_name="timm",  # what the Hub's "Use this model" shows, and it works as shown
        pipeline_tag=_TASK,
        tags=list(_TAGS),
        model_name=name.rpartition("/")[2],
        eval_results=None if matrix is None else _results(matrix, str(metric), data or "unnamed"),
    )
    text = card_text(manifest, architecture, name, matrix, metric, license, data, recipe)
    return ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}")


def _metric(matrix: CompatibilityMatrix, asked: str | None) -> str:
    first = "recall_at_1" if "recall_at_1" in matrix.values else next(iter(matrix.values))
    chosen = asked or first
    if chosen not in matrix.values:
        raise ValueError(f"`metric` should be one of {list(matrix.values)}. Found {chosen!r}.")
    if 1.0 not in matrix.gallery_capacities:
        raise ValueError(
            "`evaluation` should hold the dense network's gallery, capacity 1.0. "
            f"Found {matrix.gallery_capacities}."
        )
    return chosen


def _results(matrix: CompatibilityMatrix, metric: str, data: str) -> list[EvalResult]:
    """A result per cell that is a promise: each capacity in the dense gallery, and in its own."""
    data_name = re.split(r"[,.;:]", data, maxsplit=1)[0].strip()
    cells = {
        f"{percent(capacity)} query, {where} gallery": value
        for where, test in (
            ("dense", matrix.cross_test(metric)),
            ("own", matrix.self_test(metric)),
        )
        for capacity, value in test.items()
        if not (where == "own" and capacity == 1)
    }
    return [
        EvalResult(
            task_type=_TASK,
            task_name="Image retrieval",
            dataset_type=re.sub(r"[^a-z0-9]+", "-", data_name.lower()).strip("-") or "unnamed",
            dataset_name=data_name,
            metric_type=metric,
            metric_name=f"{METRICS.get(metric, metric)}, {cell}",
            metric_value=round(100 * value, 2),
        )
        for cell, value in cells.items()
        if not math.isnan(value)
    ]
