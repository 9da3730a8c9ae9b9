"""The recorded numbers of the reference method."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np


@cache
def golden(name: str) -> dict[str, np.ndarray]:
    """The arrays of one file of tests/golden (no pickles)."""
    with np.load(Path(__file__).parent / "golden" / f"{name}.npz") as arrays:
        return dict(arrays)
