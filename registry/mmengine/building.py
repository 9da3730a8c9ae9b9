"""Building components whose arguments are configs themselves."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from prunnet_pml.registry.mmengine.registries import SCOPE, ScopedRegistry


def build(config: Any, registry: ScopedRegistry, **arguments: Any) -> Any:  # noqa: ANN401
    """Builds a config, whatever mmengine's default scope is; names without a scope are ours.

    Args:
        config: A dict with a ``type``, or a list of those. Anything else is returned as it is.
        registry: Where to look.
        **arguments: More arguments than the config has.
    """
    if isinstance(config, list | tuple):
        return [build(part, registry, **arguments) for part in config]
    if not (isinstance(config, dict) and "type" in config):
        return config
    return registry.build({"_scope_": SCOPE, **config, **arguments})


def register(
    cls: Callable[..., Any], registry: ScopedRegistry, parts: ScopedRegistry | None = None
) -> None:
    """Registers a class under its name; arguments that are configs are built before it is.

    Args:
        cls: What to register.
        registry: Where to.
        parts: Where to look for the arguments' types: in ``registry`` itself by default.
    """

    @functools.wraps(cls, updated=())
    def construct(**arguments: Any) -> Any:  # noqa: ANN401
        found = {k: build(v, parts or registry) for k, v in arguments.items()}
        return cls(**found)

    registry.register_module(name=cls.__name__, module=construct)


def classes_of(module: ModuleType, base: type = object) -> list[type]:
    """The classes that a package exports, without its abstract bases."""
    return [
        cls
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, base) and not name.startswith("Base") and not inspect.isabstract(cls)
    ]
