"""The modules of benchmarks/, and a small task for their tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import few_glyphs
import pytest

from prunnet_pml.demo.recipe import Recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def benchmarks() -> Iterator[Path]:
    """The folder, its modules importable."""
    sys.path.insert(0, str(BENCHMARKS))
    yield BENCHMARKS
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="session")
def task(benchmarks: Path) -> object:
    """Two steps on twelve characters."""
    from tasks import ResNetTask

    recipe = Recipe(steps=2, batch_size=16, widths=(4, 8, 12, 16))
    return ResNetTask("few-glyphs", few_glyphs.FewGlyphs, recipe)
