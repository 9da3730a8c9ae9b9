"""Arguments that several commands share: where a checkpoint comes from, and how much of it."""

from __future__ import annotations

from typing import Annotated

import typer

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A name that `prunnet list` lists, a folder, or a repository of the Hub.",
        show_default=False,
    ),
]
Revision = Annotated[
    str | None,
    typer.Option(help="A branch, tag or commit of the repository.", show_default="main"),
]
Repo = Annotated[str, typer.Argument(metavar="REPO", help="A repository, owner/name.")]
Private = Annotated[bool, typer.Option("--private", help="Make a new repository a private one.")]
Tag = Annotated[str | None, typer.Option(help="A new name for the commit, such as v1.0.")]


def megabytes(size: int) -> str:
    """A size in bytes, to be read."""
    return f"{size / 1e6:.2f} MB"
