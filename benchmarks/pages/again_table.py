"""What runs of the study came to when they were made again, on another machine."""

from __future__ import annotations

from collections.abc import Mapping

from pages.numbers import table
from study_results import Runs, on_common_seeds

HEADS = ("method", "seed", "dense self", "again", "20% to dense", "again")


def again_table(methods: Mapping[str, Runs], repeated: Mapping[str, Runs]) -> str:
    """A row a run that was made twice: what each found.

    Args:
        methods: The runs of one task.
        repeated: Those that were made again.

    Raises:
        ValueError: If one has another recipe than the run that it repeats, or repeats none.
    """
    return table(HEADS, [row for name in repeated for row in _rows(name, methods, repeated)], 2)


def _rows(name: str, methods: Mapping[str, Runs], repeated: Mapping[str, Runs]) -> list[list[str]]:
    again = repeated[name]
    if name not in methods or not again.seeds <= methods[name].seeds:
        raise ValueError(f"`{name}` should be a run of the study, made again. Found none there.")
    first, again = on_common_seeds(methods[name], again)
    if [d["recipe"] for d in first.documents] != [d["recipe"] for d in again.documents]:
        raise ValueError(f"`{name}` should be made again by its recipe. Found another one.")
    cells = [runs.cell(query, 1.0) for query in (1.0, 0.2) for runs in (first, again)]
    seeds = sorted(first.seeds)
    return [
        [f"`{name}`", str(seed), *(f"{found:.1f}" for found in row)]
        for seed, *row in zip(seeds, *cells, strict=True)
    ]
