"""Numbers of several seeds, and tables, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

NONE = "-"


def spread(values: Sequence[float]) -> str:
    """The mean, and half of the way from the lowest to the highest where there are several."""
    if not values:
        return NONE
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {(max(values) - min(values)) / 2:.1f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table whose first columns hold text and whose others hold numbers."""
    rules = ["---"] * texts + ["---:"] * (len(heads) - texts)
    lines = [heads, rules, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
