"""Which method the default is to be compared with, cell by cell, and by how much it is ahead."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from study_results import Runs, on_common_seeds

Cell = tuple[float, float]
"""Capacity of the query, capacity of the gallery."""


def points_above(runs: Runs, rival: Runs, cell: Cell) -> list[float]:
    """Points of a method above another one, on every seed that both have."""
    ours, theirs = on_common_seeds(runs, rival)
    return [a - b for a, b in zip(ours.cell(*cell), theirs.cell(*cell), strict=True)]


def furthest_ahead(runs: Runs, rivals: Mapping[str, Runs], cell: Cell) -> str:
    """The rival that is furthest ahead of a method, or the closest, on the seeds of both."""
    leads = {name: points_above(runs, rival, cell) for name, rival in rivals.items()}
    return min(leads, key=lambda name: statistics.mean(leads[name]))


def above_rivals_of_other_seeds(
    runs: Runs, rivals: Mapping[str, Runs], cell: Cell
) -> Sequence[float]:
    """Points above the rival that is furthest ahead on all other seeds, for every seed in turn.

    The best of many methods owes it in part to its seeds. Chosen on some seeds and compared on
    another one (leave-one-out cross-validation), it has no such luck.

    Args:
        runs: The method.
        rivals: What it may be compared with; those that lack one of its seeds are left out.
        cell: Of the matrix.

    Returns:
        A number a seed; none of a single seed, or where no rival has all of them.
    """
    complete = {name: rival for name, rival in rivals.items() if runs.seeds <= rival.seeds}
    if len(runs.seeds) < 2 or not complete:
        return []
    found = []
    for seed in sorted(runs.seeds):
        chosen = complete[furthest_ahead(runs.of(runs.seeds - {seed}), complete, cell)]
        found += points_above(runs.of({seed}), chosen, cell)
    return found
