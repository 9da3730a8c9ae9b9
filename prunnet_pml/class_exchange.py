"""Giving a module that exists a mixin, and taking it away again.

``parametrize`` of torch renames the parameters and can't be pickled, and a wrapper module would
rename everything below it. Exchanging ``module.__class__`` for a subclass of itself renames
nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar, cast

from torch import nn

_Mixin = TypeVar("_Mixin", bound="Exchanged")


class Exchanged(nn.Module):
    """Base of the mixins; pickling names mixin and class, as subclasses are made on the fly."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:  # noqa: ANN401
        mixin, original = type(self).__bases__
        return _blank, (mixin, original), self.__getstate__()

    def __getstate__(self) -> Any:  # noqa: ANN401
        inherited = getattr(super(), "__getstate__", None)  # up to Python 3.10 few classes have one
        return self.__dict__ if inherited is None else inherited()


@cache
def exchanged_class(mixin: Any, original: Any) -> Any:  # noqa: ANN401 (to mypy, types don't hash)
    """The subclass of ``mixin`` and ``original``: one per pair and process."""
    name = f"{mixin.__name__}{original.__name__}"
    body = {"__module__": original.__module__, "__doc__": original.__doc__}
    return type(name, (mixin, original), body)


def check_free(
    model: nn.Module,
    modules: Iterable[nn.Module],
    mixin: type[Exchanged],
    plain: nn.Module,
    remedy: str = "rename it",
) -> None:
    """Refuses modules with attributes of their own that a mixin would shadow, or overwrite.

    Args:
        model: What the modules are part of, and named in.
        modules: Those that are about to get the mixin.
        mixin: What they get.
        plain: torch's own module, whose attributes a mixin may replace.
        remedy: What the message advises.

    Raises:
        ValueError: If there is one.
    """
    classes = [base for base in mixin.__mro__ if issubclass(base, Exchanged)]
    brought = {n for base in classes for n in (*vars(base), *inspect.get_annotations(base))}
    brought = {name for name in brought if not name.startswith("__")} - {*dir(plain)}
    names = {module: name for name, module in model.named_modules()}
    for module in modules:
        if taken := sorted(name for name in brought if hasattr(module, name)):
            name = names[module] or type(module).__name__
            raise ValueError(
                f"`{name}` should have no attribute `{taken[0]}`, which a prunable network gives "
                f"it. Found one in {type(module).__name__}: {remedy}."
            )


def exchange_class(module: nn.Module, mixin: type[_Mixin]) -> _Mixin:
    """Puts ``mixin`` in front of the module's class, in place, and returns the same module."""
    classes: Any = (mixin, type(module))
    module.__class__ = exchanged_class(*classes)
    return cast("_Mixin", module)


def restore_class(module: Exchanged) -> None:
    """Gives the module its original class back, in place."""
    module.__class__ = type(module).__bases__[1]


def _blank(mixin: Any, original: Any) -> Any:  # noqa: ANN401
    blank_class = exchanged_class(mixin, original)
    return blank_class.__new__(blank_class)
