"""``prunnet configs`` and ``prunnet train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prunnet_pml.cli.printing import AsJson, print_json

ConfigName = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="A name that `prunnet configs` lists, or a path."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--cfg-options",
        metavar="KEY=VALUE...",
        help="What to change in the config: one key=value or several, as in OpenMMLab's tools.",
    ),
]


def configs(as_json: AsJson = False) -> None:
    """List the configs that come with prunnet_pml.

    Example: prunnet configs
    """
    from prunnet_pml.registry.mmengine.bundled_configs import bundled_configs

    found = bundled_configs()
    if as_json:
        print_json(found)
        return
    width = max(map(len, found))
    for name, description in found.items():
        typer.echo(f"{name:{width}}  {description}")


def train(
    config: ConfigName,
    cfg_options: Changes = None,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder for checkpoints and logs.",
            file_okay=False,
            show_default="work_dirs/<name of the config>",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")
    ] = False,
) -> None:
    """Train what a config of mmengine says.

    Example: prunnet train glyphs_resnet10

    Example: prunnet train my_config.py --cfg-options train_cfg.max_epochs=2
    train_dataloader.batch_size=32 --work-dir work

    Two processes: torchrun --nproc-per-node 2 -m prunnet_pml.cli train glyphs_resnet10
    """
    from prunnet_pml.registry.mmengine.bundled_configs import load_config
    from prunnet_pml.registry.mmengine.running import build_runner

    build_runner(load_config(config, cfg_options or ()), work_dir, resume=resume).train()
