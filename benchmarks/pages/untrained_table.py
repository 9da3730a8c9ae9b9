"""Capacities other than the trained ones, against their trained neighbours."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from methods.ablations import name_of
from pages.numbers import spread, table
from study_results import Runs

NONE_BETWEEN = name_of("drawn between trained capacities", "none", "prunnet-default")

NAMES = {
    "prunnet-default": "`prunnet-default`",
    NONE_BETWEEN: "`prunnet-default`, none drawn between",
    "prunnet-all-capacities": "`prunnet-all-capacities`",
    "norm-statistics=own": "the same, interpolated",
    "prunnet-channel": "`prunnet-channel`, interpolated",
    "channel-norm-statistics=calibrated": "the same, calibrated",
    "prunnet-published": "`prunnet-published`",
}
"""Whose untrained capacities are shown, and what they are called."""

NEIGHBOURS = {0.9: (1.0, 0.8), 0.7: (0.8, 0.6), 0.5: (0.6, 0.4), 0.3: (0.4, 0.2)}


def untrained_table(methods: Mapping[str, Runs]) -> str:
    """What each finds in the dense gallery, and in brackets by how much it misses the middle.

    Each on its own seeds: neighbours are of one run.
    """
    rows = [
        [title, str(len(methods[name].seeds)), *_cells(methods[name])]
        for name, title in NAMES.items()
        if name in methods
    ]
    heads = ["method", "seeds", *(f"{c:.0%}" for c in NEIGHBOURS), "10%"]
    return table(heads, rows) if rows else ""


def gaps(runs: Runs, capacity: float) -> list[float]:
    """Points of an untrained capacity above the mean of its two neighbours, by seed."""
    upper, lower = (runs.cell(neighbour, 1.0) for neighbour in NEIGHBOURS[capacity])
    between = [statistics.mean(pair) for pair in zip(upper, lower, strict=True)]
    return [a - b for a, b in zip(runs.cell(capacity, 1.0), between, strict=True)]


def _cells(runs: Runs) -> list[str]:
    found = [
        f"{spread(runs.cell(c, 1.0))} ({statistics.mean(gaps(runs, c)):+.1f})" for c in NEIGHBOURS
    ]
    return [*found, spread(runs.cell(0.1, 1.0))]
