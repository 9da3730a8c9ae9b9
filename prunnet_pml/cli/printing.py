"""What commands print, and how their errors end: one line and an exit code."""

from __future__ import annotations

import functools
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
"""The option of every command that has a result."""


def print_json(result: Any) -> None:  # noqa: ANN401
    """Prints a result as JSON."""
    typer.echo(json.dumps(result, indent=2))


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of texts, each column as wide as its longest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


@contextmanager
def bars_on_a_terminal() -> Iterator[None]:
    """Keeps the upload's bars of the Hub's client to terminals, as its downloads' are.

    Whoever has set ``HF_HUB_DISABLE_PROGRESS_BARS``, to 0 or to 1, has decided already.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or constants.HF_HUB_DISABLE_PROGRESS_BARS is not None:
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command end with one line on stderr, and no traceback, where the cause is outside.

    A warning is one line there too.

    The exit code is 2, as of a wrong option, where the library refuses what it was given
    (ValueError), a file is not there or a package is missing; it is 1 where a disk, a network or
    the Hub fails. Any other exception is a mistake of ours: it keeps its traceback.

    Args:
        command: The function that typer calls.
    """

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warned
                command(*args, **kwargs)
        except Exception as error:
            if (code := _exit_code(error)) is None:
                raise
            raise _ended(error, code) from error

    return guarded


_EXTRAS = {"mmengine"}
"""Extras of the package that are called after what they install."""

_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def _exit_code(error: Exception) -> int | None:
    if _is_of_the_hub(error):
        return 1
    if isinstance(error, (ValueError, ImportError, *_NOT_THERE)):
        return 2
    return 1 if isinstance(error, OSError) else None


def _is_of_the_hub(error: Exception) -> bool:
    """Whether the Hub or the way to it failed; if its client was never imported, it did not."""
    advice = sys.modules.get("prunnet_pml.hub.advice")
    return advice is not None and isinstance(error, advice.HUB_ERRORS)


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:  # noqa: ANN401
    typer.secho(f"Warning: {message}", err=True, fg=typer.colors.YELLOW)


def _ended(error: Exception, code: int) -> typer.Exit:
    text = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        text = f'This needs {error.name}: pip install "prunnet-pml[{error.name}]"'
    typer.secho(f"Error: {text}", err=True, fg=typer.colors.RED)
    return typer.Exit(code)
