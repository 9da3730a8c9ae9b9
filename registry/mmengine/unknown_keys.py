"""Keys of a config that nothing takes, as errors that say where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_UNEXPECTED = re.compile(r"\S+\(\) got an unexpected keyword argument '(\w+)'")
"""Python's message. What follows it, from Python 3.13 on, is the name that may have been meant."""


@contextmanager
def unknown_keys_named(config: Any) -> Iterator[None]:  # noqa: ANN401 (mmengine is untyped)
    """Around what builds a config: a key that its component does not take is a ValueError.

    mmengine hands every key to a constructor, and leaves the error to that.

    Args:
        config: The config that is built.

    Raises:
        ValueError: If a constructor does not know a key; names the key by its place in ``config``.
    """
    try:
        yield
    except TypeError as error:
        unexpected = _UNEXPECTED.match(str(error))
        found = list(_places(config, unexpected[1])) if unexpected else []
        if not found:
            raise
        places = " or ".join(f"`{place}`" for place in found)
        raise ValueError(
            f"`config` should hold what its components take. Found {places}: {error}."
        ) from error


def _places(config: Any, key: str, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Where a key stands in a config, as ``--cfg-options`` would name it."""
    if isinstance(config, list | tuple):
        config = dict(enumerate(config))
    if not hasattr(config, "items"):
        return
    for name, value in config.items():
        if name == key:
            yield f"{prefix}{name}"
        yield from _places(value, key, f"{prefix}{name}.")
