"""Several values after one option, as OpenMMLab's tools take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from typer.core import TyperCommand

_SEVERAL = "--cfg-options"


class Command(TyperCommand):
    """A command that reads ``--cfg-options a=1 b=2`` as ``--cfg-options a=1 --cfg-options b=2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Parses what stands behind the command's name."""
        return super().parse_args(ctx, list(_repeated(args)))


def _repeated(arguments: Iterable[str]) -> Iterator[str]:
    inside = first = False
    for argument in arguments:
        if argument == _SEVERAL:
            inside = first = True
        elif inside and not argument.startswith("-") and "=" in argument:
            if not first:
                yield _SEVERAL
            first = False
        else:
            inside = False
        yield argument
