"""Recall@1 over capacity, over multiplications and over time, with the band of the seeds."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from drawings.figure import COLOURS, new_figure, tidy

SELF_ONLY = ("independent", "independent-macs")
"""Methods whose networks are compatible with nothing: their curve is the self-test."""


def draw_curves(panels: dict[str, dict[str, list[list[float]]]]) -> Figure:
    """A panel for every abscissa.

    Args:
        panels: Label of the abscissa -> method -> points ``[x, mean, lowest, highest]`` in the
            order in which they are joined, in percent but for x.
    """
    figure, axes = new_figure(6.4 * len(panels), 4.2, columns=len(panels))
    for panel, (label, curves) in zip(axes[0], panels.items(), strict=True):
        for method, points in curves.items():
            _draw_curve(panel, method, points)
        tidy(panel, label, "Recall@1, %")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_curve(axes: Any, method: str, points: list[list[float]]) -> None:  # noqa: ANN401
    x, mean, lowest, highest = zip(*points, strict=True)
    dashed = method in SELF_ONLY
    label = f"{method} (own gallery)" if dashed else method
    colour = COLOURS.get(method)
    style = {"color": colour, "linestyle": "--" if dashed else "-", "markersize": 4}
    [line] = axes.plot(x, mean, "o", label=label, **style)
    if lowest != highest:
        axes.fill_between(x, lowest, highest, color=line.get_color(), alpha=0.15, linewidth=0)
