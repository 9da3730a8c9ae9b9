"""``prunnet info`` and ``prunnet compare``: what checkpoints are, before they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prunnet_pml.cli.printing import AsJson, print_columns, print_json
from prunnet_pml.cli.sources import Revision, Source, megabytes
from prunnet_pml.record_names import percent

if TYPE_CHECKING:
    from prunnet_pml.hub import Description


def info(source: Source, revision: Revision = None, as_json: AsJson = False) -> None:
    """Say what a checkpoint is: network, space, bytes, training, results. No weights are read.

    Example: prunnet info prunnet_resnet18.glyphs
    """
    from prunnet_pml.evaluation import METRICS
    from prunnet_pml.hub import describe

    found = describe(source, revision=revision)
    if as_json:
        print_json(_facts(found))
        return
    manifest = found.manifest
    trained = ", ".join(percent(c) for c in (*manifest.trained_capacities, 1.0))
    print_columns(
        [
            ("network", found.architecture or "a hand-written one"),
            ("space id", manifest.space_id),
            ("stored as", f"{manifest.precision}, scores {manifest.scores or 'left out'}"),
            ("trained at", trained),
            ("licence", found.licence or "not stated"),
        ]
    )
    typer.echo()
    rows = [("capacity", "download", f"{METRICS.get(found.metric, found.metric)}, dense gallery")]
    for capacity in manifest.capacities:
        result = found.headline.get(capacity)
        shown = "" if result is None else f"{100 * result:.1f}"
        rows.append((percent(capacity), megabytes(manifest.bytes_for(capacity)), shown))
    if manifest.scores:
        rows.append(("prunable", megabytes(manifest.bytes_for(None)), ""))
    print_columns(rows)
    if found.training:
        typer.echo(f"\n{found.training}")


_Checkpoint = Annotated[
    str,
    typer.Argument(
        help="A file, .onnx and .pt2 among them, or a SOURCE as of `prunnet info`.",
        show_default=False,
    ),
]


def compare(one: _Checkpoint, other: _Checkpoint, as_json: AsJson = False) -> None:
    """Say whether embeddings of two checkpoints can be compared. If not, the exit code is 1.

    Example: prunnet compare server.safetensors team/glyphs
    """
    from prunnet_pml.hub import read_source_space_id

    spaces = {source: read_source_space_id(source) for source in (one, other)}
    same = len(set(spaces.values())) == 1
    if as_json:
        print_json({"space_ids": spaces, "compatible": same})
    else:
        for source, space in spaces.items():
            typer.echo(f"{space}  {source}")
        verdict = (
            "Compatible: embeddings of the two can be compared."
            if same
            else "Not compatible: these are two spaces, their embeddings can't be compared."
        )
        typer.echo(verdict)
    if not same:
        raise typer.Exit(1)


def _facts(found: Description) -> dict[str, Any]:
    manifest = found.manifest
    size = {f"{c:g}": manifest.bytes_for(c) for c in manifest.capacities}
    return {
        "network": found.architecture,
        "space_id": manifest.space_id,
        "precision": manifest.precision,
        "scores": manifest.scores,
        "trained_capacities": [*manifest.trained_capacities, 1.0],
        "bytes": {**size, "prunable": manifest.bytes_for(None) if manifest.scores else None},
        "dense_gallery": {found.metric: {f"{c:g}": value for c, value in found.headline.items()}},
        "licence": found.licence,
        "training": found.training,
    }
