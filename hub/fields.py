"""Reading JSON that a stranger wrote: a value is of the kind that it should be, or an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.masks import check_capacity

_LARGEST = 16 << 20
"""Bytes of a config.json that is read; a network of ten thousand tensors needs one."""


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is no JSON object, or one too large or too deep.
    """
    if not file.is_file():
        raise FileNotFoundError(f"A checkpoint should have a {file.name}. Found no file {file}.")
    if (size := file.stat().st_size) > _LARGEST:
        raise CheckpointError(f"{file} should have at most {_LARGEST} bytes. Found {size}.")
    try:
        found = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} should be JSON. Found: {error}.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{file} should hold an object. Found {type(found).__name__}.")
    return found


class Fields:
    """A JSON object whose fields are taken out by the kind that they should be of.

    Args:
        values: The object.
        where: What error messages call it.
    """

    def __init__(self, values: object, where: str) -> None:
        self.where = where
        self.values = self._of(dict, values, where)

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.values.get(key)
        if isinstance(value, str) and value:
            return value
        raise self._error(key, "a text")

    def one_of(self, key: str, choices: Mapping[Any, Any] | tuple[Any, ...]) -> Any:  # noqa: ANN401
        """One of some texts, or None where that is among them."""
        value = self.values.get(key)
        if isinstance(value, str | None) and value in choices:
            return value
        raise self._error(key, f"one of {[*choices]}")

    def whole(self, key: str) -> int:
        """A whole number from 0 on."""
        value = self.values.get(key)
        if _is_whole(value):
            return value
        raise self._error(key, "a whole number")

    def positive(self, key: str) -> int:
        """A whole number from 1 on."""
        if value := self.whole(key):
            return value
        raise self._error(key, "a whole number from 1 on")

    def texts(self, key: str) -> list[str]:
        """A list of different texts."""
        value = self.values.get(key)
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            found: list[str] = value
            if len({*found}) == len(found):
                return found
        raise self._error(key, "a list of different texts")

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        value = self.values.get(key)
        if isinstance(value, list) and len(value) <= 8 and all(map(_is_whole, value)):
            return tuple(value)
        raise self._error(key, "up to eight whole numbers")

    def capacities(self, key: str, *, dense: bool) -> tuple[float, ...]:
        """Capacities in ascending order, the last one 1 if ``dense``, else below 1."""
        value = self.values.get(key)
        try:
            found = tuple(check_capacity(c) for c in value) if isinstance(value, list) else ()
        except ValueError:
            found = ()
        ascending = all(a < b for a, b in pairwise(found))
        if found and ascending and (found[-1] == 1) == dense and list(found) == value:
            return found
        raise self._error(key, f"ascending capacities {'up to' if dense else 'below'} 1")

    def objects(self, key: str) -> dict[str, Fields]:
        """An object of objects."""
        found = self._of(dict, self.values.get(key), f"{self.where}: `{key}`")
        return {
            name: Fields(value, f"{self.where}: `{key}`: {name[:200]!r}")
            for name, value in found.items()
        }

    def list_of_objects(self, key: str) -> list[Fields]:
        """A list of objects."""
        found = self._of(list, self.values.get(key), f"{self.where}: `{key}`")
        return [
            Fields(value, f"{self.where}: `{key}`[{index}]") for index, value in enumerate(found)
        ]

    def nested(self, key: str) -> Fields:
        """An object."""
        return Fields(self.values.get(key), f"{self.where}: `{key}`")

    def _of(self, kind: type, value: object, where: str) -> Any:  # noqa: ANN401
        if isinstance(value, kind):
            return value
        wanted = "a list" if kind is list else "an object"
        raise CheckpointError(f"{where} should be {wanted}. Found {_shown(value)}.")

    def _error(self, key: str, wanted: str) -> CheckpointError:
        found = _shown(self.values.get(key))
        return CheckpointError(f"{self.where}: `{key}` should be {wanted}. Found {found}.")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 48


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
