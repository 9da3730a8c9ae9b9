"""A recipe with one factor changed at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from methods.ablations import FACTORS, values_of
from pages.numbers import spread, table
from study_results import Runs, on_common_seeds

HEADS = [
    "factor", "base", "value", "seeds", "dense self", "60% to dense", "40%", "20%", "20% self",
    "cost",
]  # fmt: skip
_CELLS = ((1.0, 1.0), (0.6, 1.0), (0.4, 1.0), (0.2, 1.0), (0.2, 0.2))


def ablations_table(methods: Mapping[str, Runs], base: str) -> str:
    """The recipe, and a row a changed value; in brackets by how much it is above the recipe.

    Args:
        methods: The runs of one task.
        base: What the factors are changed of.
    """
    if base not in methods:
        return table(HEADS, [], texts=3)
    recipe = methods[base]
    found = [spread(recipe.cell(*cell)) for cell in _CELLS]
    first = ["none", "", "", str(len(recipe.seeds)), *found, f"{recipe.cost:.1f}"]
    rows = [row for factor in FACTORS for row in _rows(methods, factor, base)]
    return table(HEADS, [first, *rows] if rows else [], texts=3)


def _rows(methods: Mapping[str, Runs], factor: str, base: str) -> Iterator[list[str]]:
    values = values_of(factor, base)
    for value, name in values.items():
        if name == base or name not in methods:
            continue
        changed, recipe = on_common_seeds(methods[name], methods[base])
        if not changed.seeds:
            continue
        of_base = next(v for v, n in values.items() if n == base)
        yield [
            factor,
            of_base,
            value,
            str(len(changed.seeds)),
            *(
                f"{spread(changed.cell(*cell))} ({changed.mean(*cell) - recipe.mean(*cell):+.1f})"
                for cell in _CELLS
            ),
            f"{changed.cost:.1f}",
        ]
