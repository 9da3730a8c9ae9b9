"""What the demo leaves behind: tables, pictures and the checkpoint."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import nn

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.compare import METRIC, Comparison
from prunnet_pml.demo.recipe import Recipe
from prunnet_pml.evaluation import (
    embed,
    plot_capacity_curve,
    plot_matches,
    replacing,
    save_figure,
    write_text,
)
from prunnet_pml.network import capacity
from prunnet_pml.record_names import percent
from prunnet_pml.space import SPACE_ID, space_id

if TYPE_CHECKING:
    from rich.table import Table

QUERIES = 10
HEADERS = (
    "query capacity",
    "dense gallery",
    "own gallery",
    "(a) magnitude pruning, its own dense gallery",
    "(b) a second network, the dense gallery",
)


def write_report(
    folder: Path,
    comparison: Comparison,
    model: nn.Module,
    glyphs: Glyphs,
    recipe: Recipe,
    seconds: dict[str, float],
) -> None:
    """Writes every artefact of the demo, each whole or not at all.

    Args:
        folder: Where to; made if missing.
        comparison: What was measured.
        model: The trained prunable network.
        glyphs: The test split.
        recipe: How the networks were trained.
        seconds: How long each part took.
    """
    trained = comparison.prunable.trained_capacities or ()
    series = {"(a) magnitude pruning, recalibrated": comparison.pruned.cross_test(METRIC)}
    save_figure(comparison.prunable.plot(METRIC), folder / "matrix.png")
    save_figure(
        plot_capacity_curve(comparison.prunable, METRIC, series=series), folder / "curve.png"
    )
    save_matches(model, glyphs, folder / "matches.png")
    save_checkpoint(model, folder / "prunable.safetensors")
    write_text(folder / "table.md", markdown(comparison))
    document = {
        "metric": METRIC,
        "trained_capacities": list(trained),
        "recipe": asdict(recipe),
        "seconds": seconds,
        "targets": comparison.targets(),
        "prunable": json.loads(comparison.prunable.to_json()),
        "magnitude_pruned": json.loads(comparison.pruned.to_json()),
        "second_network": json.loads(comparison.alone.to_json()),
    }
    write_text(folder / "results.json", json.dumps(document, indent=2) + "\n")


def table(comparison: Comparison) -> Table:
    """The comparison as a rich table, in percent; ``*`` marks untrained capacities."""
    from rich.table import Table

    found = Table(*HEADERS, title="Recall@1, %: characters never seen in training")
    for row in _rows(comparison):
        found.add_row(*row)
    return found


def markdown(comparison: Comparison) -> str:
    """The comparison as a Markdown table with a line that explains it."""
    lines = [HEADERS, ("---:",) * len(HEADERS), *_rows(comparison)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"{text}\n\nRecall@1 in percent on characters never seen in training; "
        "* not among the trained capacities.\n"
    )


def save_matches(model: nn.Module, glyphs: Glyphs, path: Path) -> None:
    """Draws queries embedded at 20% with their top matches in the dense network's gallery."""
    images = glyphs.images, glyphs.labels
    gallery, _ = embed(model, images)
    with capacity(model, 0.2):
        queries, _ = embed(model, images)
    chosen = torch.linspace(0, len(glyphs) - 1, QUERIES).round().long()
    figure = plot_matches(
        glyphs.images[chosen],
        glyphs.labels[chosen],
        glyphs.images,
        glyphs.labels,
        queries[chosen] @ gallery.T,
        exclude=chosen,
        title="20% of the weights search the dense network's gallery",
    )
    save_figure(figure, path)


def save_checkpoint(model: nn.Module, path: Path) -> None:
    """Writes weights, scores and norm statistics of all capacities, and the space id."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={SPACE_ID: space_id(model)})


def _rows(comparison: Comparison) -> list[tuple[str, ...]]:
    prunable, pruned = comparison.prunable, comparison.pruned
    cross, own, baseline = (
        prunable.cross_test(METRIC),
        prunable.self_test(METRIC),
        pruned.cross_test(METRIC),
    )
    trained = (1.0, *(prunable.trained_capacities or ()))
    return [
        (
            f"{percent(value)}{'' if value in trained else ' *'}",
            f"{100 * cross[value]:.1f}",
            f"{100 * own[value]:.1f}" if value in own else "",
            f"{100 * baseline[value]:.1f}",
            f"{100 * comparison.alone.value(METRIC, 1.0, 1.0):.1f}" if value == 1 else "",
        )
        for value in prunable.query_capacities
    ]
