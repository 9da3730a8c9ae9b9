"""The pictures of docs/method.md, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from drawings.curves import SELF_ONLY, draw_curves
from drawings.matrices import draw_matrices
from drawings.picture import Picture
from pages.sizes_table import compared
from study_results import RECALL, Runs

PICTURED = (
    "prunnet-default", "prunnet-all-capacities", "prunnet-channel", "prunnet-published", "joint",
    "joint-drawn-longer", "slimmable", "sfsc", "asymmetric", "bct-per-size", "magnitude-pruning",
    "torch-pruning", "independent",
)  # fmt: skip


def pictures_of(data: str, methods: Mapping[str, Runs]) -> dict[str, Picture]:
    """The pictures of one task that can be drawn."""
    found = {}
    names = [name for name in PICTURED if name in methods]
    if names:
        panels = {"query capacity, %": _curves(methods, names, lambda _, c: 100 * c)}
        found[f"method-{data}-capacity.png"] = Picture(panels, draw_curves)
        matrices = {name: _matrix(methods[name]) for name in names}
        found[f"method-{data}-matrices.png"] = Picture(matrices, draw_matrices)
    names = compared(methods)
    if any(methods[name].share(c, "macs") < 1 for name in names for c in methods[name].capacities):
        panels = {
            "MACs, share of the dense network": _curves(
                methods, names, lambda runs, c: runs.share(c, "macs")
            ),
            "time of a batch of 32, share of the dense network": _curves(
                methods, names, lambda runs, c: runs.member(c, "latency")
            ),
        }
        found[f"method-{data}-speed.png"] = Picture(panels, draw_curves)
    return found


def _curves(
    methods: Mapping[str, Runs], names: Iterable[str], x: Callable[[Runs, float], float]
) -> dict[str, dict[str, Any]]:
    curves = {}
    most = max(len(methods[name].seeds) for name in names)
    for name in names:
        runs = methods[name]
        points = []
        for capacity in runs.capacities:
            cell = runs.cell(capacity, capacity if name in SELF_ONLY else 1.0)
            point = [x(runs, capacity), sum(cell) / len(cell), min(cell), max(cell)]
            joined = not runs.is_interpolated(capacity)
            points.append([*(round(number, 4) for number in point), joined])
        seeds = ", ".join(map(str, sorted(runs.seeds)))
        label = name if len(runs.seeds) == most else f"{name}, seed {seeds}"
        curves[name] = {"label": label, "points": points}
    return curves


def _matrix(runs: Runs) -> dict[str, object]:
    matrix = sum(100 * m[RECALL] for m in runs.matrices) / len(runs.matrices)
    return {"capacities": list(runs.capacities), "values": matrix.round(2).tolist()}
