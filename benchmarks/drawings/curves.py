"""Recall@1 over capacity, over multiplications and over time, with the band of the seeds."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from drawings.figure import COLOURS, new_figure, tidy

SELF_ONLY = ("independent", "independent-macs")
"""Methods whose networks are compatible with nothing: their curve is the self-test."""

_CLOSE = 0.75
"""What a close-up shows at least, of the highest point."""


def draw_curves(panels: dict[str, dict[str, dict[str, Any]]]) -> Figure:
    """A panel for every abscissa, and below it the same close up.

    Args:
        panels: Label of the abscissa -> method -> ``label`` and ``points``
            ``[x, mean, lowest, highest, joined]`` in the order in which they are joined, in percent
            but for x. Those that are not stand beside the curve, hollow.
    """
    figure, axes = new_figure(6.4 * len(panels), 7.2, rows=2, columns=len(panels))
    for column, (label, curves) in zip(axes.T, panels.items(), strict=True):
        for panel in column:
            for method, curve in curves.items():
                _draw_curve(panel, method, **curve)
        highest = max(point[3] for curve in curves.values() for point in curve["points"])
        column[1].set_ylim(_CLOSE * highest, 1.01 * highest)
        tidy(column[0], "", "Recall@1, %")
        tidy(column[1], label, "Recall@1, %, close up")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_curve(axes: Any, method: str, label: str, points: list[list[float]]) -> None:  # noqa: ANN401
    dashed = method in SELF_ONLY
    label = f"{label} (own gallery)" if dashed else label
    style = {"color": COLOURS.get(method), "markersize": 4}
    joined, beside = ([p for p in points if p[4] == on_curve] for on_curve in (True, False))
    x, mean, lowest, highest = ([p[column] for p in joined] for column in range(4))
    [line] = axes.plot(x, mean, "o", linestyle="--" if dashed else "-", label=label, **style)
    if lowest != highest:
        axes.fill_between(x, lowest, highest, color=line.get_color(), alpha=0.15, linewidth=0)
    style["color"] = line.get_color()
    axes.plot([p[0] for p in beside], [p[1] for p in beside], "o", mfc="white", **style)
