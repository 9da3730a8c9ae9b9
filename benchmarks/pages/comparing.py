"""Runs side by side, on the seeds that all of them have, and how a sentence gives them."""

from __future__ import annotations

from collections.abc import Mapping

from study_results import Runs, on_common_seeds

Methods = Mapping[str, Runs]


def compared(methods: Methods, *names: str) -> list[Runs]:
    """The runs of the seeds that all of them have; none if there is no such seed."""
    if not set(names) <= set(methods):
        return []
    found = on_common_seeds(*(methods[name] for name in names))
    return found if found[0].seeds else []


def at_20(found: list[Runs]) -> list[str]:
    """What each finds with 20% in the dense gallery."""
    return [f"{runs.mean(0.2, 1.0):.1f}" for runs in found]


def dense_and_20(runs: Runs) -> str:
    """What the dense network and 20% of it find in the dense gallery."""
    return " and ".join(f"{runs.mean(capacity, 1.0):.1f}" for capacity in (1.0, 0.2))


def dense_and_20_at_cost(runs: Runs) -> str:
    """The same, and what it cost in trainings of the dense network."""
    return f"{dense_and_20(runs)} at a cost of {runs.cost:.1f}"


def seeds_of(runs: Runs) -> str:
    """How many seeds they are of."""
    count = len(runs.seeds)
    return f"{count} {'seed' if count == 1 else 'seeds'}"
