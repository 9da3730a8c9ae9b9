"""The defaults with one factor changed at a time."""

from __future__ import annotations

from collections.abc import Mapping

from methods.ablations import FACTORS, name_of
from pages.numbers import spread, table
from study_results import Runs

HEADS = [
    "factor", "value", "seeds", "dense self", "60% to dense", "40%", "20%", "20% self", "cost",
]  # fmt: skip


def ablations_table(methods: Mapping[str, Runs]) -> str:
    """A row a value; the default's are bold, and stand where another value was measured too."""
    rows = []
    for factor, values in FACTORS.items():
        names = {value: name_of(factor, value) for value in values}
        measured = {value: name for value, name in names.items() if name in methods}
        if set(measured.values()) - {"prunnet-default"}:
            rows += [_row(factor, v, methods[name], name) for v, name in measured.items()]
    return table(HEADS, rows, texts=2)


def _row(factor: str, value: str, runs: Runs, name: str) -> list[str]:
    cells = ((1.0, 1.0), (0.6, 1.0), (0.4, 1.0), (0.2, 1.0), (0.2, 0.2))
    return [
        factor,
        f"**{value}**" if name == "prunnet-default" else value,
        str(len(runs.documents)),
        *(spread(runs.cell(*cell)) for cell in cells),
        f"{runs.cost:.1f}",
    ]
