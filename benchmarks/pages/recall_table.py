"""Recall@1 of a matrix as a table."""

from __future__ import annotations

from typing import Any


def recall_table(matrix: dict[str, Any]) -> str:
    """Markdown, in percent: a row per query capacity."""
    galleries = [f"{c:.0%}" for c in matrix["gallery_capacities"]]
    lines = [
        f"| query \\ gallery | {' | '.join(galleries)} |",
        f"| ---: |{' ---: |' * len(galleries)}",
    ]
    for capacity, row in zip(
        matrix["query_capacities"], matrix["values"]["recall_at_1"], strict=True
    ):
        lines.append(f"| {capacity:.0%} | {' | '.join(f'{100 * v:.1f}' for v in row)} |")
    return "\n".join(lines)
