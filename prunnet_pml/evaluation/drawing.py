"""Figures of a compatibility matrix: the heat map, and the curve over capacity.

Figures are drawn on a canvas of their own, so no window opens and pyplot's state is left alone.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from prunnet_pml.evaluation.matrix import METRICS, CompatibilityMatrix
from prunnet_pml.record_names import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT = "#22272e", "#8b949e"
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9772b", "#7d8590"


def plot_matrix(
    matrix: CompatibilityMatrix, metric: str = "recall_at_1", *, title: str | None = None
) -> "Figure":
    """Draws one metric of a matrix as a heat map, with the percentages in the cells.

    Args:
        matrix: What to draw.
        metric: One of :data:`prunnet_pml.evaluation.METRICS`.
        title: Above the map; the metric's name by default.

    Returns:
        A matplotlib figure; :func:`prunnet_pml.evaluation.save_figure` writes it.

    Raises:
        ValueError: If there is no such metric.
    """
    values = 100 * matrix[metric]  # [Q, G]
    rows, columns = values.shape
    figure, axes = _new_figure(1.9 + 0.72 * columns, 1.5 + 0.56 * rows)
    low, high = np.nanmin([*values.flat, 100]), np.nanmax([*values.flat, 0])
    # 0.1 to 0.75 of the colour map; differences of tenths should look small.
    shades = 0.75 - 0.65 * (high - values) / max(high - low, 10.0)
    axes.imshow(shades, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if shades[row, column] > 0.5 else _INK
        text = "n/a" if np.isnan(value) else f"{value:.1f}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(columns), [percent(c) for c in matrix.gallery_capacities])
    axes.set_yticks(range(rows), [percent(c) for c in matrix.query_capacities])
    axes.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("gallery capacity")
    axes.set_ylabel("query capacity")
    axes.set_title(f"{METRICS.get(metric, metric)}, %" if title is None else title)
    return figure


def plot_capacity_curve(
    matrix: CompatibilityMatrix,
    metric: str = "recall_at_1",
    *,
    gallery: float = 1.0,
    trained: Collection[float] | None = None,
    series: Mapping[str, Mapping[float, float]] | None = None,
    styles: Mapping[str, Mapping[str, Any]] | None = None,
    title: str | None = None,
) -> "Figure":
    """Draws one metric over the query's capacity: self-test, cross-test, and what else is given.

    Args:
        matrix: Where the self-test and the cross-test come from.
        metric: One of :data:`prunnet_pml.evaluation.METRICS`.
        gallery: Capacity of the gallery in the cross-test.
        trained: Capacities that were trained: full markers on the matrix's curves, where the others
            are hollow. By default those that the matrix knows of; if none, all are full.
        series: More curves: name -> {capacity: value in [0, 1]}, say a baseline's cross-test.
        styles: Name of a curve -> keyword arguments of ``Axes.plot``. ``"self-test"`` and
            ``"cross-test"`` are names too.
        title: Above the plot.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: If there is no such metric or gallery capacity.
    """
    if trained is None and matrix.trained_capacities is not None:
        trained = (1.0, *matrix.trained_capacities)
    index = f"{'dense' if gallery == 1 else percent(gallery)} gallery"
    curves: dict[str, tuple[Mapping[float, float], dict[str, Any]]] = {
        "cross-test": (
            matrix.cross_test(metric, gallery),
            {"color": _BLUE, "linewidth": 2, "zorder": 4, "label": f"cross-test, {index}"},
        ),
        "self-test": (
            matrix.self_test(metric),
            {"color": _ORANGE, "linewidth": 1.4, "zorder": 3, "label": "self-test, own gallery"},
        ),
    }
    greys = (_GREY, "#57606a", "#a8b1bb")
    for i, (name, values) in enumerate((series or {}).items()):
        curves[name] = values, {"color": greys[i % 3], "linestyle": "--", "linewidth": 1.4}

    figure, axes = _new_figure(6.4, 3.9)
    for name, (values, style) in curves.items():
        given = (styles or {}).get(name, {})
        marked = None if name in (series or {}) else trained
        _draw_curve(axes, values, marked, {"label": name, **style, **given})
    every = sorted({c for values, _ in curves.values() for c in values})
    if trained is not None and not set(matrix.query_capacities) <= set(trained):
        axes.plot([], [], "o", color=_FAINT, markerfacecolor="white", label="untrained capacity")
    axes.set_xlim(0, 1.04)
    axes.set_xticks(every, [percent(c) for c in every])
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("query capacity")
    axes.set_ylabel(f"{METRICS.get(metric, metric)}, %")
    axes.legend(frameon=False, fontsize=9)
    if title is not None:
        axes.set_title(title)
    return figure


def _draw_curve(
    axes: "Axes",
    values: Mapping[float, float],
    trained: Collection[float] | None,
    style: Mapping[str, Any],
) -> None:
    capacities = sorted(values)
    heights = [values[c] for c in capacities]
    (line,) = axes.plot(capacities, heights, **style)
    for capacity, height in zip(capacities, heights, strict=True):
        is_trained = trained is None or capacity in trained
        colour, zorder = line.get_color(), line.get_zorder()
        face = colour if is_trained else "white"
        axes.plot(capacity, height, "o", color=colour, markerfacecolor=face, zorder=zorder)


def _new_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()
