"""Latency over capacity: a panel for every network, a line for every runtime."""

from __future__ import annotations

from matplotlib.figure import Figure

from drawings.figure import INK, new_figure, tidy

RUNTIMES = {
    "eager": "eager",
    "tuned": "tuned",
    "compile": "compile",
    "onnx": "ONNX",
}
"""What pages call them."""
COLOURS = {
    "eager": "#1f5fa8",
    "tuned": "#6ea8dc",
    "compile": "#2a9d8f",
    "onnx": "#d9772b",
}


def draw_latencies(panels: dict[str, dict[str, list[list[float]]]]) -> Figure:
    """Draws shares of the dense network's time, and of its MACs dashed.

    Args:
        panels: Network -> runtime, or ``"macs"`` -> points ``[capacity, share]``.
    """
    figure, axes = new_figure(3.4 * len(panels), 3.5, columns=len(panels))
    for panel, (name, lines) in zip(axes[0], panels.items(), strict=True):
        for key, points in lines.items():
            x, y = zip(*points, strict=True)
            if key == "macs":
                panel.plot(x, y, "--", color=INK, linewidth=1, label="MACs")
            else:
                panel.plot(x, y, "o-", color=COLOURS[key], markersize=4, label=RUNTIMES[key])
        panel.set_title(name, fontsize=10)
        panel.set_xlim(0, 1.03)
        panel.set_ylim(0, 1.05)
        tidy(panel, "capacity", "share of the dense network" if panel is axes[0][0] else "")
    axes[0][0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure
