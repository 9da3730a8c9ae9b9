"""Building components whose arguments are configs themselves."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from torch import nn

from prunnet_pml.registry.mmengine.registries import SCOPE, ScopedRegistry


def build(config: Any, registry: ScopedRegistry, **arguments: Any) -> Any:  # noqa: ANN401
    """Builds a config, whatever mmengine's default scope is; names without a scope are ours.

    Args:
        config: A dict with a ``type``, or a list or a dict of those. Anything else is returned as
            it is.
        registry: Where to look.
        **arguments: More arguments than the config has.
    """
    if isinstance(config, list | tuple):
        return [build(part, registry, **arguments) for part in config]
    if not isinstance(config, Mapping):
        return config
    if "type" not in config:
        return {name: build(part, registry, **arguments) for name, part in config.items()}
    return registry.build({"_scope_": SCOPE, **config, **arguments})


def with_model(config: Any, model: nn.Module, registry: ScopedRegistry) -> Any:  # noqa: ANN401
    """A config in which the components that look at the network have it, however deep they are.

    Args:
        config: What :func:`build` takes.
        model: The prunable network: becomes the ``model`` of every component that takes one, such
            as ``CompatibleLoss`` and ``CompatibilityMiner``, and has none of its own.
        registry: Where types are looked up.
    """
    if isinstance(config, list | tuple):
        return [with_model(part, model, registry) for part in config]
    if not isinstance(config, Mapping):
        return config
    found = {name: with_model(part, model, registry) for name, part in config.items()}
    return {"model": model, **found} if _takes_model(config, registry) else found


def names_in(config: Any) -> Iterator[str]:  # noqa: ANN401
    """The names, without our scope, of all components in a config, however deep they are."""
    if isinstance(config, list | tuple):
        for part in config:
            yield from names_in(part)
    elif isinstance(config, Mapping):
        kind = config.get("type", "")
        yield kind.removeprefix(f"{SCOPE}.") if isinstance(kind, str) else kind.__name__
        yield from names_in(list(config.values()))


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
        found = {k: build(v, registry if parts is None else parts) for k, v in arguments.items()}
        return cls(**found)

    registry.register_module(name=cls.__name__, module=construct)


def _takes_model(config: Mapping[str, Any], registry: ScopedRegistry) -> bool:
    kind = config.get("type")
    component = registry.get(kind) if isinstance(kind, str) else kind
    return callable(component) and "model" in inspect.signature(component).parameters


def classes_of(module: ModuleType, base: type = object) -> list[type]:
    """The classes that a package exports, without its abstract bases."""
    return [
        cls
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, base) and not name.startswith("Base") and not inspect.isabstract(cls)
    ]
