"""What the default recipe and granularity "channel" are to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pages.numbers import table
from pages.untrained_table import BETWEEN, gap
from study_results import Runs, on_common_seeds

Target = tuple[str, float, float]
"""What should be at least how much: name, value, bound."""


def targets_table(methods: Mapping[str, Runs], others: set[str]) -> str:
    """A row a target, those that are missed with it.

    Args:
        methods: The runs of one task.
        others: The methods that the default is compared with.
    """
    rows = [
        [name, f"{value:.1f}", f"{bound:.1f}", "yes" if _reached(value, bound) else "**no**"]
        for name, value, bound in [*_default(methods, others), *_channel(methods)]
    ]
    return table(["target", "found", "at least", "met"], rows)


def _reached(value: float, bound: float) -> bool:
    """As it is printed."""
    return float(f"{value:.1f}") >= float(f"{bound:.1f}")


def _default(methods: Mapping[str, Runs], others: set[str]) -> Iterator[Target]:
    if "prunnet-default" not in methods:
        return
    runs = methods["prunnet-default"]
    rivals = [n for n in sorted(others) if n in methods and methods[n].seeds & runs.seeds]
    for capacity in (1.0, 0.8, 0.6, 0.4, 0.2):
        for gallery, kind in {1.0: "to dense", capacity: "self"}.items():
            cell = (capacity, gallery)
            if rivals:
                ahead, best = max((_ahead(methods[n], runs, cell), n) for n in rivals)
                name = f"default, {capacity:.0%} {kind}: `{best}` less half a point"
                yield name, runs.mean(*cell), runs.mean(*cell) + ahead - 0.5
    dense = runs.mean(1.0, 1.0)
    yield "default, 20% to dense: 0.95 x dense self", runs.mean(0.2, 1.0), 0.95 * dense
    yield from _alone("default", runs, methods)
    for capacity in BETWEEN:
        value = runs.mean(capacity, 1.0)
        name = f"default, {capacity:.0%} untrained: between its neighbours, less 1"
        yield name, value, value - gap(runs, capacity) - 1


def _ahead(rival: Runs, runs: Runs, cell: tuple[float, float]) -> float:
    """Points of another method above ours, on the seeds that both have."""
    theirs, ours = on_common_seeds(rival, runs)
    return theirs.mean(*cell) - ours.mean(*cell)


def _alone(ours: str, runs: Runs, methods: Mapping[str, Runs]) -> Iterator[Target]:
    alone = methods.get("independent")
    if alone is not None and alone.seeds & runs.seeds:
        dense = runs.mean(1.0, 1.0)
        name = f"{ours}, dense self: a network trained alone"
        yield name, dense, dense + _ahead(alone, runs, (1.0, 1.0))


def _channel(methods: Mapping[str, Runs]) -> Iterator[Target]:
    if "prunnet-channel" not in methods:
        return
    runs = methods["prunnet-channel"]
    dense = runs.mean(1.0, 1.0)
    yield "channel, 40% to dense: 0.97 x dense self", runs.mean(0.4, 1.0), 0.97 * dense
    yield "channel, 20% to dense: 0.93 x dense self", runs.mean(0.2, 1.0), 0.93 * dense
    yield from _alone("channel", runs, methods)
    for other in ("slimmable", "sfsc"):
        measured = other in methods and methods[other].seeds & runs.seeds
        learned = measured and methods[other].mean(1.0, 1.0) > dense / 2
        for capacity in (0.8, 0.6, 0.4, 0.2) if learned else ():
            macs = f"{runs.share(capacity, 'macs'):.2f}"
            theirs = f"{other}, {methods[other].share(capacity, 'macs'):.2f} of the MACs"
            name = f"channel, {capacity:.0%} to dense, {macs} of the MACs: {theirs}"
            ours = runs.mean(capacity, 1.0)
            yield name, ours, ours + _ahead(methods[other], runs, (capacity, 1.0))
