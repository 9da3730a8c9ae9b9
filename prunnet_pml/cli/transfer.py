"""``prunnet push``, ``pull`` and ``upgrade``: checkpoints to and from the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prunnet_pml.cli.printing import AsJson, bars_on_a_terminal, print_json
from prunnet_pml.cli.sources import Private, Repo, Revision, Source, Tag, megabytes
from prunnet_pml.record_names import percent

_Capacity = Annotated[
    float | None,
    typer.Option(help="What it is to run at.", show_default="the prunable network, with scores"),
]


def push(
    folder: Annotated[Path, typer.Argument(help="What `save_pretrained` wrote.", exists=True)],
    repo: Repo,
    private: Private = False,
    revision: Annotated[
        str | None, typer.Option(help="A branch, made if missing.", show_default="main")
    ] = None,
    tag: Tag = None,
    as_json: AsJson = False,
) -> None:
    """Push a folder to the Hub in one commit, with its model card. Log in by `hf auth login` first.

    Example: prunnet push glyphs team/glyphs --private --tag v1.0
    """
    from prunnet_pml.hub import push_to_hub

    with bars_on_a_terminal():
        commit = push_to_hub(folder, repo, private=private, revision=revision, tag=tag)
    print_commit(str(commit.commit_url), str(commit.oid), as_json)


def pull(
    source: Source,
    capacity: _Capacity = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder of your own.", file_okay=False, show_default="the Hub's cache"),
    ] = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Download what one capacity needs, and no more.

    Example: prunnet pull team/glyphs --capacity 0.2 --out network
    """
    from prunnet_pml.hub import download

    _print_folder(download(source, capacity, revision=revision, folder=out), capacity, as_json)


def upgrade(
    folder: Annotated[Path, typer.Argument(help="What `prunnet pull --out` made.", exists=True)],
    capacity: _Capacity = None,
    as_json: AsJson = False,
) -> None:
    """Download what a folder lacks for a larger capacity, from the commit it came from.

    Example: prunnet upgrade network --capacity 0.4
    """
    from prunnet_pml import hub

    was_there = not hub.Manifest.read(folder).missing(folder, capacity)
    hub.upgrade(folder, capacity)
    _print_folder(folder, capacity, as_json, was_there)


def print_commit(url: str, oid: str, as_json: bool) -> None:
    """Prints where a push has gone."""
    if as_json:
        print_json({"commit_url": url, "commit": oid})
    else:
        typer.echo(url)


def _print_folder(
    folder: Path, capacity: float | None, as_json: bool, was_there: bool = False
) -> None:
    from prunnet_pml.hub import Manifest

    manifest = Manifest.read(folder)
    if lacking := manifest.missing(folder, capacity):
        raise ValueError(
            f"`source` should hold what this capacity needs. Found {folder} without a whole "
            f"{lacking[0]}: where it was downloaded, `prunnet upgrade` brings that."
        )
    size = manifest.bytes_for(capacity)
    if as_json:
        print_json({"folder": str(folder), "capacity": capacity, "bytes": size})
    else:
        shown = "prunable" if capacity is None else percent(capacity)
        told = ", at hand already: nothing was downloaded" if was_there else ""
        typer.echo(f"{folder}: {shown}, {megabytes(size)}{told}")
