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
        [name, f"{value:.1f}", f"{bound:.1f}", "yes" if round(value - bound, 1) >= 0 else "**no**"]
        for name, value, bound in [*_default(methods, others), *_channel(methods)]
    ]
    return table(["target", "found", "at least", "met"], rows)


def _default(methods: Mapping[str, Runs], others: set[str]) -> Iterator[Target]:
    if "prunnet-default" not in methods:
        return
    runs = methods["prunnet-default"]
    found = [methods[n] for n in sorted(others) if n in methods and n != "prunnet-default"]
    rivals = [rival for rival in found if rival.seeds & runs.seeds]
    for capacity in (1.0, 0.8, 0.6, 0.4, 0.2):
        for gallery, kind in {1.0: "to dense", capacity: "self"}.items():
            name = f"default, {capacity:.0%} {kind}: the best other method less half a point"
            if rivals:
                ours = runs.mean(capacity, gallery)
                ahead = max(_ahead(rival, runs, capacity, gallery) for rival in rivals)
                yield name, ours, ours + ahead - 0.5
    dense = runs.mean(1.0, 1.0)
    yield "default, 20% to dense: 0.95 x dense self", runs.mean(0.2, 1.0), 0.95 * dense
    if "independent" in methods:
        alone = methods["independent"].mean(1.0, 1.0)
        yield "default, dense self: a network trained alone", dense, alone
    for capacity in BETWEEN:
        value = runs.mean(capacity, 1.0)
        middle = value - gap(runs, capacity)
        yield (
            f"default, {capacity:.0%} untrained: between its neighbours, less 1",
            value,
            middle - 1,
        )


def _ahead(rival: Runs, runs: Runs, capacity: float, gallery: float) -> float:
    """Points of another method above the default, on the seeds that both have."""
    theirs, ours = on_common_seeds(rival, runs)
    return theirs.mean(capacity, gallery) - ours.mean(capacity, gallery)


def _channel(methods: Mapping[str, Runs]) -> Iterator[Target]:
    if "prunnet-channel" not in methods:
        return
    runs = methods["prunnet-channel"]
    dense = runs.mean(1.0, 1.0)
    yield "channel, 40% to dense: 0.97 x dense self", runs.mean(0.4, 1.0), 0.97 * dense
    yield "channel, 20% to dense: 0.93 x dense self", runs.mean(0.2, 1.0), 0.93 * dense
    if "independent" in methods:
        alone = methods["independent"].mean(1.0, 1.0)
        yield "channel, dense self: a network trained alone", dense, alone
    for other in ("slimmable", "sfsc"):
        for capacity in (0.8, 0.6, 0.4, 0.2) if other in methods else ():
            macs = f"{runs.share(capacity, 'macs'):.2f}"
            theirs = f"{other}, {methods[other].share(capacity, 'macs'):.2f} of the MACs"
            name = f"channel, {capacity:.0%} to dense, {macs} of the MACs: {theirs}"
            yield name, runs.mean(capacity, 1.0), methods[other].mean(capacity, 1.0)
