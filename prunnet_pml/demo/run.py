"""The demo from end to end."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.compare import Comparison, compare
from prunnet_pml.demo.recipe import Recipe, calibration_images, train_alone, train_prunable
from prunnet_pml.demo.report import table, write_report


def run_demo(folder: Path, recipe: Recipe | None = None) -> Comparison:
    """Trains, prunes, compares, prints a table and leaves tables, pictures and checkpoint.

    Args:
        folder: Where to leave them; made if missing.
        recipe: How to train; by default the library's recommended way, in minutes on two cores.

    Returns:
        What was measured.
    """
    recipe = recipe or Recipe()
    console = Console()
    clock = _Clock()
    train, test = (Glyphs(split, size=recipe.image_size) for split in ("train", "test"))
    console.print(
        f"Glyphs: train on {len(train):,} images of {len(train.characters)} letters, "
        f"test on {len(test):,} of {len(test.characters)} others."
    )
    clock.stop("draw")
    model = train_prunable(train, recipe)
    clock.stop("train prunable")
    alone = train_alone(train, recipe)
    clock.stop("train alone")
    comparison = compare(model, alone, test, calibration_images(train, recipe))
    clock.stop("evaluate")
    write_report(folder, comparison, model, test, recipe, clock.seconds)
    console.print(table(comparison))
    for name, target in comparison.targets().items():
        verdict = "[green]met[/]   " if target["met"] else "[red]missed[/]"
        console.print(f"{verdict} {name}: {target['value']:.4f} ({target['bound']:.4f})")
    console.print(f"In {sum(clock.seconds.values()):.0f} s. Pictures and checkpoint: {folder}/")
    return comparison


class _Clock:
    """Seconds of each part, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part], self._last = round(now - self._last, 1), now
