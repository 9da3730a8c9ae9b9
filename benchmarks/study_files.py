"""Which results of the study there are: one JSON a task, method and seed."""

from __future__ import annotations

from typing import Any

from methods import METHODS, VARIANTS
from results import read_results
from tasks import Task


def name_of_run(data: str, method: str, seed: int) -> str:
    """The name under which ``write_results`` keeps it."""
    return f"study/{data}/{method}-{seed}"


def recipe_of(method: str, task: Task) -> dict[str, Any]:
    """All that decides what a run comes to: the task's description and the method's settings."""
    return {**task.describe(), "settings": dict((METHODS | VARIANTS)[method].settings)}


def is_done(data: str, method: str, task: Task) -> bool:
    """Whether there is a result of the very same recipe."""
    found = read_results(name_of_run(data, method, task.recipe.seed))
    return found.get("recipe") == recipe_of(method, task)
