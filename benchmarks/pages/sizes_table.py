"""Capacities that are smaller and faster: what every method makes of 40% and 20%."""

from __future__ import annotations

from collections.abc import Mapping

from drawings.curves import SELF_ONLY
from pages.numbers import NONE, spread, table
from study_results import Runs

COMPARED = (
    "prunnet-default", "prunnet-channel", "slimmable", "sfsc", "torch-pruning",
    "magnitude-pruning", "independent", "independent-macs",
)  # fmt: skip
HEADS = [
    "method", "capacity", "seeds", "parameters", "not zero", "MACs", "latency", "to dense", "self",
    "to dense / dense self",
]  # fmt: skip


def compared(methods: Mapping[str, Runs]) -> list[str]:
    """Those of them that there are, timed on a CPU: what shared a GPU tells no latency."""
    return [name for name in COMPARED if name in methods and methods[name].devices == {"cpu"}]


def sizes_table(methods: Mapping[str, Runs]) -> str:
    """A row for every method and capacity; sizes in units of the same run's dense network."""
    rows = [
        _row(name, methods[name], capacity) for name in compared(methods) for capacity in (0.4, 0.2)
    ]
    return table(HEADS, rows)


def _row(name: str, runs: Runs, capacity: float) -> list[str]:
    alone = name in SELF_ONLY
    return [
        f"`{name}`",
        f"{capacity:.0%}",
        str(len(runs.seeds)),
        f"{runs.share(capacity, 'parameters'):.2f}",
        f"{runs.share(capacity, 'nonzero'):.2f}",
        f"{runs.share(capacity, 'macs'):.2f}",
        f"{runs.member(capacity, 'latency'):.2f}",
        NONE if alone else spread(runs.cell(capacity, 1.0)),
        spread(runs.cell(capacity, capacity)),
        NONE if alone else f"{runs.mean(capacity, 1.0) / runs.mean(1.0, 1.0):.3f}",
    ]
