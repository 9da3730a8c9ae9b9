"""``prunnet prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prunnet_pml.cli.printing import AsJson, print_json
from prunnet_pml.cli.sources import Revision, Source, megabytes
from prunnet_pml.cli.subnetworks import (
    Bytes,
    Capacity,
    LatencyMs,
    Macs,
    Params,
    load_subnetwork,
)
from prunnet_pml.record_names import percent


def prune(
    source: Source,
    out: Annotated[
        Path,
        typer.Option(help="A folder: new, empty, or one that this made before.", file_okay=False),
    ],
    capacity: Capacity = None,
    macs: Macs = None,
    params: Params = None,
    bytes_: Bytes = None,
    latency_ms: LatencyMs = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Make a plain network of one capacity: a folder with its weights, no prunnet_pml inside.

    Stock timm loads it, timm.create_model("local-dir:FOLDER", pretrained=True), unless hidden units
    are cut out, as timm has no such shapes: then kept_units.json lies in the folder too, for
    prunnet.apply_kept_units. Instead of a capacity there may be limits: the largest subnetwork
    within all of them.

    Example: prunnet prune prunnet_resnet18.glyphs --capacity 0.2 --out student
    """
    import torch

    from prunnet_pml.hub import save_plain

    found = load_subnetwork(
        source,
        revision,
        capacity,
        macs=macs,
        params=params,
        bytes=bytes_,
        latency_ms=latency_ms,
    )
    save_plain(
        found.network,
        out,
        space_id=found.manifest.space_id,
        capacity=found.capacity,
        dtype=getattr(torch, found.manifest.precision),
        kept=found.kept,
    )
    size = sum(file.stat().st_size for file in out.iterdir())
    if as_json:
        made = {"folder": str(out), "capacity": found.capacity, "bytes": size}
        print_json({**made, "space_id": found.manifest.space_id})
    else:
        kind = type(found.network).__name__
        typer.echo(f"{out}: {kind} at {percent(found.capacity)}, {megabytes(size)}")
