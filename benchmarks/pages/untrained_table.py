"""Capacities that took no part in training, against their trained neighbours."""

from __future__ import annotations

from collections.abc import Mapping

from pages.numbers import spread, table
from study_results import Runs

NAMES = {
    "prunnet-default": "`prunnet-default`",
    "norm-statistics=own": "the same, interpolated",
    "prunnet-channel": "`prunnet-channel`, interpolated",
    "channel-norm-statistics=calibrated": "the same, calibrated",
    "prunnet-published": "`prunnet-published`",
}
"""Whose untrained capacities are shown, and what they are called."""

BETWEEN = {0.9: (1.0, 0.8), 0.7: (0.8, 0.6), 0.5: (0.6, 0.4), 0.3: (0.4, 0.2)}


def untrained_table(methods: Mapping[str, Runs]) -> str:
    """What each finds in the dense gallery, and in brackets by how much it misses the middle."""
    heads = ["method", "seeds", *(f"{c:.0%}" for c in BETWEEN), "10%"]
    rows = [
        [text, str(len(methods[n].seeds)), *_cells(methods[n])]
        for n, text in NAMES.items()
        if n in methods
    ]
    return table(heads, rows)


def gap(runs: Runs, capacity: float) -> float:
    """Points of an untrained capacity above the mean of its two neighbours."""
    upper, lower = BETWEEN[capacity]
    return runs.mean(capacity, 1.0) - (runs.mean(upper, 1.0) + runs.mean(lower, 1.0)) / 2


def _cells(runs: Runs) -> list[str]:
    found = [f"{spread(runs.cell(c, 1.0))} ({gap(runs, c):+.1f})" for c in BETWEEN]
    return [*found, spread(runs.cell(0.1, 1.0))]
