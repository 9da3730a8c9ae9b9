"""``prunnet``: the command line. It parses, calls the public API, and prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Embedding networks that can be pruned to any capacity.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for tables, pictures and checkpoint.")] = Path(
        "demo-output"
    ),
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of each network.", show_default="600")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
) -> None:
    """Train one prunable network on glyphs, prune it to many sizes, and compare.

    Example: prunnet demo --out demo-output --seed 1
    """
    from prunnet_pml.demo import run_demo
    from prunnet_pml.demo.recipe import Recipe

    run_demo(out, Recipe(steps=steps or Recipe.steps, seed=seed))


_Checkpoint = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A file of torch.save or safetensors.")
]


@app.command()
def compatible(one: _Checkpoint, other: _Checkpoint) -> None:
    """Say whether embeddings of two checkpoints can be compared. If not, the exit code is 1.

    Example: prunnet compatible server.safetensors device.safetensors
    """
    from prunnet_pml.space import read_space_id

    try:
        spaces = {path: read_space_id(path) for path in (one, other)}
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for path, space in spaces.items():
        typer.echo(f"{space}  {path}")
    if len(set(spaces.values())) > 1:
        typer.echo("Not compatible: these are two spaces, their embeddings can't be compared.")
        raise typer.Exit(1)
    typer.echo("Compatible: embeddings of the two can be compared.")
