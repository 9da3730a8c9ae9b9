"""``prunnet list`` and ``prunnet publish``: the checkpoints that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from prunnet_pml.cli.printing import AsJson, bars_on_a_terminal, print_columns, print_json
from prunnet_pml.cli.sources import Private, Tag, megabytes
from prunnet_pml.cli.transfer import print_commit
from prunnet_pml.record_names import percent


def list_(as_json: AsJson = False) -> None:
    """List the checkpoints that come with prunnet_pml, as SOURCE of every command.

    Example: prunnet list
    """
    from prunnet_pml.hub import catalogue

    if as_json:
        print_json([entry.to_json() for entry in catalogue()])
        return
    rows = [("name", "data", "capacities", "download", "R@1 in the dense gallery", "licence")]
    for entry in catalogue():
        low, high = min(entry.capacities), max(entry.capacities)
        found = (f"{100 * entry.recall_at_1[c]:.1f} at {percent(c)}" for c in (low, high))
        size = f"{megabytes(entry.sizes[low])} to {megabytes(entry.sizes[high])}"
        capacities = " ".join(percent(c) for c in entry.capacities)
        data = entry.data.partition(",")[0]
        rows.append((entry.name, data, capacities, size, ", ".join(found), entry.licence))
    print_columns(rows)


def publish(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One that `prunnet list` lists.")],
    repo: Annotated[str, typer.Option(metavar="REPO", help="A repository, owner/name.")],
    private: Private = False,
    tag: Tag = None,
    as_json: AsJson = False,
) -> None:
    """Send a checkpoint of the catalogue to the Hub, with the dense network for stock timm beside.

    Example: prunnet publish prunnet_resnet18.glyphs --repo team/glyphs
    """
    from prunnet_pml import hub

    with bars_on_a_terminal():
        commit = hub.publish(name, repo, private=private, tag=tag)
    print_commit(str(commit.commit_url), str(commit.oid), as_json)
