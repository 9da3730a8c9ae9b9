"""Which method the default is to be compared with, cell by cell, and by how much it is ahead."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from study_results import Runs, on_common_seeds

OURS = ("prunnet-default", "prunnet-channel")
"""What the library advises."""
ALL_CAPACITIES = "prunnet-all-capacities"
"""What factors are changed of."""
FLOOR, LONGER = "no-training", "dense-longer"
JOINT_DRAWN_LONGER = "joint-drawn-longer"
OWN_BATCHES, JOINT_OWN_BATCHES = "prunnet-own-batches", "joint-own-batches"
NO_RIVALS = (*OURS, FLOOR, LONGER)
"""What the default is not compared with: where all start, and one network in all the passes."""

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
        rivals: What it may be compared with. The seeds are those of the one that is furthest ahead;
            rivals that lack one of these are left out.
        cell: Of the matrix.

    Returns:
        A number a seed; none where there is but one.
    """
    seeds = runs.seeds & rivals[furthest_ahead(runs, rivals, cell)].seeds
    if len(seeds) < 2:
        return []
    complete = {name: rival for name, rival in rivals.items() if seeds <= rival.seeds}
    found = []
    for seed in sorted(seeds):
        chosen = complete[furthest_ahead(runs.of(seeds - {seed}), complete, cell)]
        found += points_above(runs.of({seed}), chosen, cell)
    return found
