"""``prunnet evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prunnet_pml.cli.experiments import Changes
from prunnet_pml.cli.printing import AsJson, print_json
from prunnet_pml.cli.sources import Revision

if TYPE_CHECKING:
    from prunnet_pml.evaluation import CompatibilityMatrix


def evaluate(
    checkpoint: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE | CONFIG CHECKPOINT",
            help="A SOURCE as of `prunnet info`, with --data; or a config, as of `prunnet configs` "
            "or a path, and the file that its training saved.",
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(help="glyphs, fashion-mnist, or a folder of images, a folder for each class."),
    ] = None,
    capacities: Annotated[
        str | None, typer.Option(help="Such as 0.2,0.5,1.", show_default="dense and trained ones")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The metric of the table.", show_default="the first")
    ] = None,
    revision: Revision = None,
    cfg_options: Changes = None,
    out: Annotated[
        Path | None, typer.Option(help="A file for all metrics, as JSON.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what queries of every capacity find in galleries of every capacity.

    Example: prunnet evaluate prunnet_resnet18.glyphs --data glyphs --capacities 0.2,0.5,1

    Example: prunnet evaluate glyphs_resnet10 work_dirs/glyphs_resnet10/epoch_10.pth
    """
    wanted = None if capacities is None else _numbers(capacities)
    match checkpoint:
        case [config, file] if data is None:
            if revision is not None:
                raise ValueError(
                    f"`revision` should be left out with a config. Found {revision!r}."
                )
            matrix = _by_config(file, config, cfg_options or (), wanted)
        case [source] if data is not None:
            _check_metric(metric)  # before the work
            if cfg_options:
                raise ValueError(
                    f"`cfg_options` should be left out without a config. Found {cfg_options}."
                )
            matrix = _by_data(source, data, revision, wanted)
        case [_]:
            raise ValueError(
                "`data` should say what to search: give --data glyphs, say; or a config before the "
                "checkpoint. Found neither."
            )
        case _:
            raise ValueError(
                "`checkpoint` should be a SOURCE with --data, or CONFIG CHECKPOINT without. "
                f"Found {' '.join(checkpoint)}{' and --data' if data else ''}."
            )
    text = matrix.to_json(out)
    if as_json:
        print_json(json.loads(text))
    else:
        typer.echo(matrix.to_markdown(metric or next(iter(matrix.values))), nl=False)


def _check_metric(metric: str | None) -> None:
    from prunnet_pml.evaluation import METRICS

    if metric not in (None, *METRICS):
        raise ValueError(f"`metric` should be one of {', '.join(METRICS)}. Found {metric!r}.")


def _by_data(
    source: str, data: str, revision: str | None, capacities: Sequence[float] | None
) -> CompatibilityMatrix:
    import torch

    import prunnet_pml
    from prunnet_pml.datasets import named_images
    from prunnet_pml.hub import from_pretrained

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = from_pretrained(source, revision=revision).to(device)
    return prunnet_pml.evaluate(model, named_images(data, model), capacities=capacities)


def _by_config(
    checkpoint: str, config: str, changes: Sequence[str], capacities: Sequence[float] | None
) -> CompatibilityMatrix:
    from mmengine.logging import MMLogger

    from prunnet_pml.registry.mmengine.bundled_configs import load_config
    from prunnet_pml.registry.mmengine.evaluating import evaluate_checkpoint

    MMLogger.get_instance("prunnet").setLevel("WARNING")  # the table is ours to print
    return evaluate_checkpoint(load_config(config, changes), checkpoint, capacities)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"`capacities` should be numbers with commas between them. Found {text!r}."
        ) from error
