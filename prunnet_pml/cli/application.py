"""The application: every command, and what is common to them."""

from __future__ import annotations

from collections.abc import Callable

import typer

from prunnet_pml.cli.catalogue import list_, publish
from prunnet_pml.cli.demonstration import demo
from prunnet_pml.cli.evaluation import evaluate
from prunnet_pml.cli.experiments import configs, train
from prunnet_pml.cli.exporting import export
from prunnet_pml.cli.inspecting import compare, info
from prunnet_pml.cli.printing import one_line_errors
from prunnet_pml.cli.pruning import prune
from prunnet_pml.cli.repeated_options import Command
from prunnet_pml.cli.transfer import pull, push, upgrade

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "list": list_,
    "info": info,
    "compare": compare,
    "pull": pull,
    "upgrade": upgrade,
    "prune": prune,
    "export": export,
    "evaluate": evaluate,
    "push": push,
    "publish": publish,
    "configs": configs,
    "train": train,
}
"""By name, in the order in which ``prunnet --help`` lists them."""

app = typer.Typer(
    no_args_is_help=True,
    help="Embedding networks that can be pruned to any capacity.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)
for name, command in COMMANDS.items():
    app.command(name, cls=Command)(one_line_errors(command))
