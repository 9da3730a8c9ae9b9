"""What runs of the study found when they were made once more, by the same recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pages.numbers import NONE, table
from study_results import MAP, Runs

Found = Callable[[Runs], float | None]


def _cell(query: float, metric: str | None = None) -> Found:
    """What a capacity finds in the dense gallery, if it was measured."""

    def found(runs: Runs) -> float | None:
        cells = (runs if metric is None else runs.by(metric)).cell(query, 1.0)
        return cells[0] if cells else None

    return found


COLUMNS: dict[str, Found] = {
    "dense self": _cell(1.0),
    "20% to dense": _cell(0.2),
    "30%": _cell(0.3),
    "dense self, mAP@R": _cell(1.0, MAP),
    "20% to dense, mAP@R": _cell(0.2, MAP),
    "cost": lambda runs: runs.cost,
}


def again_table(methods: Mapping[str, Runs], repeated: Mapping[str, Runs]) -> str:
    """A row a run that was made twice: what it found first, and then.

    Args:
        methods: The runs of one task.
        repeated: Those that were made again.

    Raises:
        ValueError: If one has another recipe than the run that it repeats, or repeats none.
    """
    rows = [
        [f"`{name}`", str(seed), *_both(name, methods, runs.of({seed}))]
        for name, runs in repeated.items()
        for seed in sorted(runs.seeds)
    ]
    return table(["method", "seed", *COLUMNS], rows)


def _both(name: str, methods: Mapping[str, Runs], again: Runs) -> list[str]:
    """Of one run, what each column found first and then."""
    if name not in methods or not again.seeds <= methods[name].seeds:
        raise ValueError(f"`{name}` should be a run of the study, made again. Found none there.")
    first = methods[name].of(again.seeds)
    if first.documents[0]["recipe"] != again.documents[0]["recipe"]:
        raise ValueError(f"`{name}` should be made again by its recipe. Found another one.")
    pairs = [[found(runs) for runs in (first, again)] for found in COLUMNS.values()]
    return [", ".join(NONE if value is None else f"{value:.1f}" for value in p) for p in pairs]
