"""``prunnet evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from prunnet_pml.cli.experiments import Changes, ConfigName
from prunnet_pml.cli.printing import AsJson, print_json


def evaluate(
    config: ConfigName,
    checkpoint: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A checkpoint that the training saved."),
    ],
    capacities: Annotated[
        str | None, typer.Option(help="Such as 0.2,0.5,1.", show_default="dense and trained ones")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The metric of the table.", show_default="the first")
    ] = None,
    cfg_options: Changes = None,
    out: Annotated[Path | None, typer.Option(help="A file for all metrics, as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what queries of every capacity find in galleries of every capacity.

    The data and the protocol are those of the config's validation.

    Example: prunnet evaluate glyphs_resnet10 work_dirs/glyphs_resnet10/epoch_4.pth
    --capacities 0.2,0.5,1
    """
    from mmengine.logging import MMLogger

    from prunnet_pml.registry.mmengine.bundled_configs import load_config
    from prunnet_pml.registry.mmengine.evaluating import evaluate_checkpoint

    MMLogger.get_instance("prunnet").setLevel("WARNING")  # the table is ours to print
    wanted = None if capacities is None else _numbers(capacities)
    matrix = evaluate_checkpoint(load_config(config, cfg_options or ()), checkpoint, wanted)
    text = matrix.to_json(out)
    if as_json:
        print_json(json.loads(text))
    else:
        typer.echo(matrix.to_markdown(metric or next(iter(matrix.values))), nl=False)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"`capacities` should be numbers with commas between them. Found {text!r}."
        ) from error
