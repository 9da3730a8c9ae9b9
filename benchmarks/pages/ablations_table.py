"""The defaults with one factor changed at a time."""

from __future__ import annotations

from collections.abc import Mapping

from methods.ablations import FACTORS, values_of
from pages.numbers import spread, table
from study_results import Runs, on_common_seeds

HEADS = [
    "factor", "value", "seeds", "dense self", "60% to dense", "40%", "20%", "20% self", "cost",
]  # fmt: skip


def ablations_table(methods: Mapping[str, Runs], base: str) -> str:
    """A row a value; the default's are bold, and stand where another value was measured too.

    All rows of a factor are of the same seeds.

    Args:
        methods: The runs of one task.
        base: What the factors are changed of.
    """
    rows = []
    for factor in FACTORS:
        measured = {v: name for v, name in values_of(factor, base).items() if name in methods}
        if len(measured) > 1:
            runs = on_common_seeds(*(methods[name] for name in measured.values()))
            rows += [
                _row(factor, f"**{value}**" if name == base else value, found)
                for (value, name), found in zip(measured.items(), runs, strict=True)
                if found.seeds
            ]
    return table(HEADS, rows, texts=2)


def _row(factor: str, value: str, runs: Runs) -> list[str]:
    cells = ((1.0, 1.0), (0.6, 1.0), (0.4, 1.0), (0.2, 1.0), (0.2, 0.2))
    return [
        factor,
        value,
        str(len(runs.documents)),
        *(spread(runs.cell(*cell)) for cell in cells),
        f"{runs.cost:.1f}",
    ]
