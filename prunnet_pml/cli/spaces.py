"""``prunnet compatible``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prunnet_pml.cli.printing import AsJson, print_json

_Checkpoint = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A file of torch.save or safetensors.")
]


def compatible(one: _Checkpoint, other: _Checkpoint, as_json: AsJson = False) -> None:
    """Say whether embeddings of two checkpoints can be compared. If not, the exit code is 1.

    Example: prunnet compatible server.safetensors device.safetensors
    """
    from prunnet_pml.space import read_space_id

    spaces = {str(path): read_space_id(path) for path in (one, other)}
    same = len(set(spaces.values())) == 1
    if as_json:
        print_json({"space_ids": spaces, "compatible": same})
    else:
        for path, space in spaces.items():
            typer.echo(f"{space}  {path}")
        verdict = (
            "Compatible: embeddings of the two can be compared."
            if same
            else "Not compatible: these are two spaces, their embeddings can't be compared."
        )
        typer.echo(verdict)
    if not same:
        raise typer.Exit(1)
