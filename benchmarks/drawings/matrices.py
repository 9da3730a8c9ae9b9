"""The heat maps of many methods side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from drawings.figure import INK, new_figure

COLUMNS = 4


def draw_matrices(matrices: dict[str, dict[str, Any]]) -> Figure:
    """A heat map of Recall@1 for every method, all in the same colours.

    Args:
        matrices: Method -> ``capacities`` and ``values``, in percent, ``[query, gallery]``.
    """
    columns = min(COLUMNS, len(matrices))
    rows = -(-len(matrices) // columns)
    figure, axes = new_figure(3.6 * columns, 3.5 * rows, rows, columns)
    highest = max(np.max(m["values"]) for m in matrices.values())
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, (method, matrix) in zip(axes.flat, matrices.items(), strict=False):
        panel.set_axis_on()
        _draw_matrix(panel, method, matrix, highest)
    return figure


def _draw_matrix(axes: Any, method: str, matrix: dict[str, Any], highest: float) -> None:  # noqa: ANN401
    values, capacities = np.array(matrix["values"]), matrix["capacities"]
    shades = 0.75 - 0.65 * (highest - values) / highest
    axes.imshow(shades, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if shades[row, column] > 0.5 else INK
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=7)
    labels = [f"{100 * c:g}" for c in capacities]
    axes.set_xticks(range(len(labels)), labels, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("gallery, %", fontsize=8)
    axes.set_ylabel("query, %", fontsize=8)
    axes.set_title(method, fontsize=9)
