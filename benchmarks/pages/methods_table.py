"""Every method on one task: what it finds, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from drawings.curves import SELF_ONLY
from pages.numbers import NONE, spread, table
from study_results import MAP, Runs

HEADS = [
    "method", "seeds", "dense self", "80% to dense", "60%", "40%", "20%", "20% self",
    "dense self, mAP@R", "20% to dense, mAP@R", "cost", "memory, MiB",
]  # fmt: skip


def methods_table(methods: Mapping[str, Runs], names: Iterable[str]) -> str:
    """A row a method, the best in the dense gallery at 20% last; first what has no 20%."""
    found = {name: methods[name] for name in names if name in methods}
    ordered = sorted(found, key=lambda name: fmean(found[name].cell(0.2, 1.0) or [0.0]))
    return table(HEADS, [_row(name, found[name]) for name in ordered])


def _row(name: str, runs: Runs) -> list[str]:
    by_map = runs.by(MAP)
    return [
        f"`{name}`",
        str(len(runs.documents)),
        *(spread(runs.cell(capacity, 1.0)) for capacity in (1.0, 0.8, 0.6, 0.4, 0.2)),
        spread(runs.cell(0.2, 0.2)),
        spread(by_map.cell(1.0, 1.0)),
        NONE if name in SELF_ONLY else spread(by_map.cell(0.2, 1.0)),
        f"{runs.cost:.1f}",
        f"{runs.memory:.0f}",
    ]
