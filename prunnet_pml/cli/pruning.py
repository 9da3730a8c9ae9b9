"""``prunnet prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prunnet_pml.cli.printing import AsJson, print_json
from prunnet_pml.cli.sources import Revision, Source, megabytes


def prune(
    source: Source,
    capacity: Annotated[float, typer.Option(help="What share of the weights to keep.")],
    out: Annotated[Path, typer.Option(help="A folder, for stock timm.")],
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Make a plain network of one capacity: a folder that stock timm loads, no prunnet_pml inside.

    It is timm.create_model("local-dir:FOLDER", pretrained=True) there.

    Example: prunnet prune prunnet_resnet18.glyphs --capacity 0.2 --out student
    """
    import torch

    from prunnet_pml.hub import describe, from_pretrained, save_plain

    manifest = describe(source, revision=revision).manifest
    model = from_pretrained(source, capacity, revision=revision)
    save_plain(
        model,
        out,
        space_id=manifest.space_id,
        capacity=capacity,
        dtype=getattr(torch, manifest.precision),
    )
    size = sum(file.stat().st_size for file in out.iterdir())
    if as_json:
        found = {"folder": str(out), "capacity": capacity, "bytes": size}
        print_json({**found, "space_id": manifest.space_id})
    else:
        typer.echo(f"{out}: {type(model).__name__} at {capacity:.0%}, {megabytes(size)}")
