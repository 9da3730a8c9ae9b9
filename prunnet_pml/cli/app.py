"""The application: every command, and what is common to them."""

from __future__ import annotations

import typer

from prunnet_pml.cli.demonstration import demo
from prunnet_pml.cli.evaluation import evaluate
from prunnet_pml.cli.experiments import configs, train
from prunnet_pml.cli.printing import one_line_errors
from prunnet_pml.cli.repeated_options import Command
from prunnet_pml.cli.spaces import compatible

COMMANDS = (demo, configs, train, evaluate, compatible)
"""In the order in which ``prunnet --help`` lists them."""

app = typer.Typer(
    no_args_is_help=True,
    help="Embedding networks that can be pruned to any capacity.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)
for command in COMMANDS:
    app.command(cls=Command)(one_line_errors(command))
