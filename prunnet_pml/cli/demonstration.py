"""``prunnet demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for tables, pictures and checkpoint.", file_okay=False)
    ] = Path("demo-output"),
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of each network.", show_default="1500")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
) -> None:
    """Train one prunable network on glyphs, prune it to many sizes, and compare.

    Example: prunnet demo --out demo-output --seed 1
    """
    from prunnet_pml.demo import run_demo
    from prunnet_pml.demo.recipe import Recipe

    run_demo(out, Recipe(steps=steps or Recipe.steps, seed=seed))
