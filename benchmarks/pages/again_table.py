"""What runs of the study found when they were made once more, by the same recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pages.numbers import NONE, table
from study_results import MAP, RECALL, Runs

Value = Callable[[Runs], float | None]


def _cell(query: float, metric: str = RECALL) -> Value:
    """What a capacity finds in the dense gallery, if it was measured."""

    def found(runs: Runs) -> float | None:
        cells = runs.by(metric).cell(query, 1.0)
        return cells[0] if cells else None

    return found


COLUMNS: dict[str, Value] = {
    "dense self": _cell(1.0),
    "20% to dense": _cell(0.2),
    "30%": _cell(0.3),
    "dense self, mAP@R": _cell(1.0, MAP),
    "20% to dense, mAP@R": _cell(0.2, MAP),
    "cost": lambda runs: runs.cost,
}


def again_table(methods: Mapping[str, Runs], *repeated: Mapping[str, Runs]) -> str:
    """A row a run that was made more than once: what it found first, and then each time.

    Args:
        methods: The runs of one task.
        *repeated: Those that were made again, one mapping for each time.

    Raises:
        ValueError: If one has another recipe than the run that it repeats, or repeats none.
    """
    runs = {(name, seed) for again in repeated for name, r in again.items() for seed in r.seeds}
    rows = [
        [f"`{name}`", str(seed), *_found([_run(a, name, seed) for a in (methods, *repeated)], name)]
        for name, seed in sorted(runs)
    ]
    return table(["method", "seed", *COLUMNS], rows)


def _run(methods: Mapping[str, Runs], name: str, seed: int) -> Runs | None:
    """One run, if it is there."""
    runs = methods[name].of({seed}) if name in methods else None
    return runs if runs is not None and runs.documents else None


def _found(each: list[Runs | None], name: str) -> list[str]:
    """What each column found of a run, the first time and then."""
    if each[0] is None:
        raise ValueError(f"`{name}` should be a run of the study, made again. Found none there.")
    made = [run for run in each if run is not None]
    if any(run.documents[0]["recipe"] != made[0].documents[0]["recipe"] for run in made):
        raise ValueError(f"`{name}` should be made again by its recipe. Found another one.")
    cells = [[None if run is None else found(run) for run in each] for found in COLUMNS.values()]
    return [", ".join(NONE if value is None else f"{value:.1f}" for value in c) for c in cells]
