"""``prunnet export``."""

from __future__ import annotations

from enum import Enum
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


class Format(str, Enum):
    """What can be exported to."""

    onnx = "onnx"
    pt2 = "pt2"


def export(
    source: Source,
    capacity: Capacity = None,
    macs: Macs = None,
    params: Params = None,
    bytes_: Bytes = None,
    latency_ms: LatencyMs = None,
    format_: Annotated[
        Format, typer.Option("--format", help="For ONNX Runtime, or torch.export.load.")
    ] = Format.onnx,
    out: Annotated[
        Path | None,
        typer.Option(help="A file.", dir_okay=False, show_default="by source and capacity"),
    ] = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Write one capacity as a file that runs without prunnet_pml and timm, and check that it does.

    Instead of a capacity there may be limits: the largest subnetwork within all of them.

    Example: prunnet export prunnet_resnet18.glyphs --capacity 0.2 --format onnx
    """
    from prunnet_pml.export import export_onnx, export_program

    found = load_subnetwork(
        source,
        revision,
        capacity,
        precision="float32",  # which is what it writes
        macs=macs,
        params=params,
        bytes=bytes_,
        latency_ms=latency_ms,
    )
    name = f"{Path(source).resolve().name}-{100 * found.capacity:g}.{format_.value}"
    export_to = export_onnx if format_ is Format.onnx else export_program
    file = export_to(
        found.network,
        out or name,
        found.capacity,
        space_id=found.manifest.space_id,
    )
    size = file.stat().st_size
    if as_json:
        made = {"file": str(file), "capacity": found.capacity, "bytes": size}
        print_json({**made, "space_id": found.manifest.space_id})
    else:
        typer.echo(f"{file}: {percent(found.capacity)}, {megabytes(size)}")
