"""What the default recipe and granularity "channel" are to reach, and whether they do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pages.numbers import NONE, table
from pages.rivals import above_rivals_of_other_seeds, furthest_ahead, points_above
from pages.untrained_table import NEIGHBOURS, gaps
from study_results import Runs


@dataclass(frozen=True)
class Target:
    """Something that should be at least as much as something else.

    Attributes:
        name: What it is.
        found: How much it is, in the mean over all seeds that it was measured on.
        margins: By how much it is above what it should be, on every seed that both have.
        above_others: The same beside rivals that were chosen on other seeds, if there are any.
    """

    name: str
    found: float
    margins: Sequence[float]
    above_others: Sequence[float] = ()

    @property
    def bound(self) -> float:
        """What it should be."""
        return self.found - statistics.mean(self.margins)

    @property
    def is_met(self) -> bool:
        """As it is printed."""
        return float(f"{self.found:.1f}") >= float(f"{self.bound:.1f}")

    @property
    def row(self) -> list[str]:
        """Of the table."""
        met = "yes" if self.is_met else "**no**"
        each = ", ".join(f"{margin:+.1f}" for margin in self.margins)
        others = f"{statistics.mean(self.above_others):+.1f}" if self.above_others else "-"
        return [self.name, f"{self.found:.1f}", f"{self.bound:.1f}", met, each, others]


Group = Callable[[Mapping[str, Runs], set[str]], Iterator[Target]]


def targets_table(methods: Mapping[str, Runs], others: set[str]) -> str:
    """A row a target, those that are missed with it.

    Args:
        methods: The runs of one task.
        others: The methods that the default is compared with.
    """
    targets = [target for group in GROUPS.values() for target in group(methods, others)]
    seeds = ["above it, seed by seed", "beside the best of other seeds"]
    heads = ["target", "found", "at least", "met", *seeds]
    return table(heads, [target.row for target in targets])


def how_many_are_met(methods: Mapping[str, Runs], others: set[str], group: Group) -> str:
    """Of a group, as in "21 of 28"; the other arguments are those of the table."""
    targets = list(group(methods, others))
    return f"{sum(target.is_met for target in targets)} of {len(targets)}" if targets else NONE


def _beside_others(methods: Mapping[str, Runs], others: set[str]) -> Iterator[Target]:
    if "prunnet-default" not in methods:
        return
    runs = methods["prunnet-default"]
    measured = [n for n in sorted(others) if n in methods and methods[n].seeds & runs.seeds]
    rivals = {name: methods[name] for name in measured}
    for capacity in (1.0, 0.8, 0.6, 0.4, 0.2) if rivals else ():
        for gallery, kind in {1.0: "to dense", capacity: "self"}.items():
            cell = (capacity, gallery)
            best = furthest_ahead(runs, rivals, cell)
            margins = [lead + 0.5 for lead in points_above(runs, rivals[best], cell)]
            on_others = [lead + 0.5 for lead in above_rivals_of_other_seeds(runs, rivals, cell)]
            name = f"default, {capacity:.0%} {kind}: `{best}` less half a point"
            yield Target(name, runs.mean(*cell), margins, on_others)


def _other_targets(methods: Mapping[str, Runs], _others: set[str]) -> Iterator[Target]:
    if "prunnet-default" not in methods:
        return
    runs = methods["prunnet-default"]
    name = "default, 20% to dense: 0.95 x dense self"
    yield Target(name, runs.mean(0.2, 1.0), _above_share(runs, 0.2, 0.95))
    yield from _alone("default", runs, methods)
    for capacity in NEIGHBOURS:
        name = f"default, {capacity:.0%} untrained: between its neighbours, less 1"
        margins = [gap + 1 for gap in gaps(runs, capacity)]
        yield Target(name, runs.mean(capacity, 1.0), margins)


def _above_share(runs: Runs, capacity: float, share: float) -> list[float]:
    """Points of a capacity above a share of what the dense network finds, by seed."""
    cells = zip(runs.cell(capacity, 1.0), runs.cell(1.0, 1.0), strict=True)
    return [found - share * dense for found, dense in cells]


def _alone(ours: str, runs: Runs, methods: Mapping[str, Runs]) -> Iterator[Target]:
    alone = methods.get("independent")
    if alone is not None and alone.seeds & runs.seeds:
        name = f"{ours}, dense self: a network trained alone"
        yield Target(name, runs.mean(1.0, 1.0), points_above(runs, alone, (1.0, 1.0)))


def _channel(methods: Mapping[str, Runs], _others: set[str]) -> Iterator[Target]:
    if "prunnet-channel" not in methods:
        return
    runs = methods["prunnet-channel"]
    for capacity, share in ((0.4, 0.97), (0.2, 0.93)):
        name = f"channel, {capacity:.0%} to dense: {share:.2f} x dense self"
        yield Target(name, runs.mean(capacity, 1.0), _above_share(runs, capacity, share))
    yield from _alone("channel", runs, methods)
    for other in ("slimmable", "sfsc"):
        measured = other in methods and methods[other].seeds & runs.seeds
        for capacity in (0.8, 0.6, 0.4, 0.2) if measured else ():
            macs = f"{runs.share(capacity, 'macs'):.2f}"
            theirs = f"{other}, {methods[other].share(capacity, 'macs'):.2f} of the MACs"
            name = f"channel, {capacity:.0%} to dense, {macs} of the MACs: {theirs}"
            margins = points_above(runs, methods[other], (capacity, 1.0))
            yield Target(name, runs.mean(capacity, 1.0), margins)


GROUPS: dict[str, Group] = {
    "beside other methods": _beside_others,
    "other targets": _other_targets,
    "channels": _channel,
}
"""The targets of the default and of granularity "channel", by what they are compared with."""
