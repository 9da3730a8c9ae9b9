"""Marks of what was trained with an earlier contrast, beside what has that of the library."""

from __future__ import annotations

from study_results import Runs

MARK = "†"
_NOTE = "With an earlier contrast, in which all images of a class counted alike."


def named(name: str, runs: Runs, beside: Runs) -> str:
    """A method's name, marked where it stands beside something that was trained otherwise."""
    marked = runs.is_earlier and not beside.has_earlier_contrast
    return f"`{name}` {MARK}" if marked else f"`{name}`"


def with_note(text: str, note: str = _NOTE) -> str:
    """A table, and below it what the mark means, if it is in there."""
    return f"{text}\n{MARK} {note}\n" if MARK in text else text
