"""Empty figures on a canvas of their own: no window opens, pyplot's state is left alone."""

from __future__ import annotations

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#22272e"

COLOURS = {
    "prunnet-default": "#1f5fa8",
    "prunnet-all-capacities": "#3d85c6",
    "prunnet-channel": "#d9772b",
    "prunnet-published": "#6ea8dc",
    "prunnet-authors-code": "#a9c7e8",
    "joint": "#2a9d8f",
    "joint-drawn-longer": "#14532d",
    "slimmable": "#8e44ad",
    "sfsc": "#c39bd3",
    "torch-pruning": "#c0392b",
    "magnitude-pruning": "#e28f83",
    "independent": "#57606a",
    "independent-macs": "#a8b1bb",
    "asymmetric": "#9a7b4f",
    "bct-per-size": "#c9b48a",
}
"""A method has one colour in all pictures."""


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure in inches and its axes, an array ``[rows, columns]``."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def tidy(axes: Any, xlabel: str, ylabel: str) -> None:  # noqa: ANN401
    """Labels, a faint grid, no box."""
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
