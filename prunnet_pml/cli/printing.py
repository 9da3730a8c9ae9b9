"""What commands print, and how their errors end: one line and an exit code."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
"""The option of every command that has a result."""


def print_json(result: Any) -> None:  # noqa: ANN401
    """Prints a result as JSON."""
    typer.echo(json.dumps(result, indent=2))


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command end with one line on stderr, and no traceback, where the cause is outside.

    A warning is one line there too.

    The exit code is 2, as of a wrong option, where the library refuses what it was given
    (ValueError), a file is not there or a package is missing; it is 1 where a disk or a network
    fails. Any other exception is a mistake of ours: it keeps its traceback.

    Args:
        command: The function that typer calls.
    """

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warned
                command(*args, **kwargs)
        except (ValueError, ImportError, *_NOT_THERE) as error:
            raise _ended(error, 2) from error
        except OSError as error:
            raise _ended(error, 1) from error

    return guarded


_EXTRAS = {"mmengine"}
"""Extras of the package that are called after what they install."""

_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:  # noqa: ANN401
    typer.secho(f"Warning: {message}", err=True, fg=typer.colors.YELLOW)


def _ended(error: Exception, code: int) -> typer.Exit:
    text = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        text = f'This needs {error.name}: pip install "prunnet-pml[{error.name}]"'
    typer.secho(f"Error: {text}", err=True, fg=typer.colors.RED)
    return typer.Exit(code)
