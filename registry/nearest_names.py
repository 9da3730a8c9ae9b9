"""The hint that an unknown name is answered with."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'this' or 'that'?``, to be put behind an error; empty if nothing is near."""
    near = get_close_matches(name, sorted(known), cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
