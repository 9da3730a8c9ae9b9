"""A device that computes on the CPU and is as strict as a GPU about where tensors lie.

So a machine without a GPU finds what would break on one: tensors of two devices in one operation,
random numbers of the wrong generator. What the host would have to wait for is counted, as far as
``WAITS`` knows it.
"""
# ruff: noqa: ANN401 (functions of torch's, and what they take)

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, library
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _DummyPrivateUse1Hook,
    _setup_privateuseone_for_python_backend,
)

NAME = "pretended"
aten = torch.ops.aten

COPIES = {aten._to_copy.default, aten.copy_.default}
"""What may take tensors of two devices."""

INDEXING = {
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._index_put_impl_.default,
}
"""What takes indices from the CPU, too, and waits for the number of those in a mask."""

WAITS = {
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.unique_consecutive.default,
    aten.repeat_interleave.Tensor,
    aten.bincount.default,
}
"""Of which the host needs the outcome, or its size."""


_seen: list[str] = []
"""What waited so far."""


class Away(torch.Tensor):
    """A tensor on the pretended device; ``inside`` is where its numbers are."""

    inside: Tensor

    @staticmethod
    def __new__(cls: type, inside: Tensor) -> Away:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inside.size(),
            strides=inside.stride(),
            storage_offset=inside.storage_offset(),
            dtype=inside.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, inside: Tensor) -> None:
        self.inside = inside

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})

    def tolist(self) -> Any:
        _seen.append("tolist")
        return self.inside.tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Saved as a tensor of the CPU."""
        return self.inside.__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"{self.inside!r} on {NAME}"


class _Pretending(TorchDispatchMode):
    """Sends what is made on the device, or copied to it, there; notes what waits."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not (_tensors(args, kwargs, away=True) or _is_away(kwargs.get("device"))):
            return function(*args, **kwargs)
        if _waits(function, args, kwargs):
            _seen.append(str(function))
        return _run(function, args, kwargs)


def _waits(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    if function in COPIES:
        source = args[1] if function is aten.copy_.default else args[0]
        target = _target(function, args, kwargs)
        asynchronous = kwargs.get("non_blocking") or (len(args) > 2 and args[2])
        return _is_away(source.device) != _is_away(target) and not asynchronous
    if function in INDEXING:
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    known = kwargs.get("output_size") is not None  # of repeat_interleave
    return function in WAITS and not known


def _empty(size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, **_: Any) -> Away:
    return Away(torch.empty_strided(size, stride, dtype=dtype))


def _copy(source: Tensor, target: Tensor, asynchronous: bool = False) -> Tensor:
    if not asynchronous:
        _seen.append("copy")
    (target.inside if isinstance(target, Away) else target).copy_(_inside(source))
    return target


KERNELS = {"aten::empty_strided": _empty, "aten::_copy_from": _copy}
"""What torch calls past the mode: for ``torch.tensor(..., device=...)`` and indices in lists."""


class _Backend(_DummyBackendModule):
    """What torch asks of a device's module."""

    def get_rng_state(self, _: Any = None) -> Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, _: Any = None) -> None:
        torch.set_rng_state(state)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


class _Hook(_DummyPrivateUse1Hook):
    """Not one that torch would take by itself: other tests of the process go on as before."""

    def is_available(self) -> bool:
        return False


@contextmanager
def pretended_gpu() -> Iterator[list[str]]:
    """Within it ``torch.device("pretended")`` works; yields the names of what waited."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Backend(), hook=_Hook())
        for operator, kernel in KERNELS.items():
            library.impl(operator, NAME)(kernel)
    _seen.clear()
    with _Pretending():
        yield _seen


def _run(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    _check_devices(function, args, kwargs)
    away = _is_away(_target(function, args, kwargs))
    given = {**kwargs, "device": torch.device("cpu")} if "device" in kwargs else kwargs
    found = function(*_inside(args), **_inside(given))
    if function is aten.copy_.default:
        return args[0]
    if not away:
        return found
    found = tree_map(lambda value: Away(value) if isinstance(value, Tensor) else value, found)
    return return_and_correct_aliasing(function, args, kwargs, found)


def _target(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The device of the outcome."""
    if function is aten.copy_.default:
        return args[0].device
    if kwargs.get("device") is not None:
        return kwargs["device"]
    away = _tensors(args, kwargs, away=True)
    return away[0].device if away else torch.device("cpu")


def _check_devices(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    if function in COPIES:
        return
    if function in INDEXING:
        args = [args[0], *args[2:]]  # without the indices, which the CPU's may be for the device's
    strange = [tensor for tensor in _tensors(args, kwargs, away=False) if tensor.dim() > 0]
    indexed = function in INDEXING and not _is_away(args[0].device)
    if strange and (indexed or _tensors(args, kwargs, away=True)):
        shapes = [tuple(tensor.shape) for tensor in strange]
        raise RuntimeError(f"{function} got tensors of the CPU, {shapes}, beside the device's.")
    generator = kwargs.get("generator")
    if generator is not None and not _is_away(generator.device):
        raise RuntimeError(f"{function} got a generator of the CPU.")


def _tensors(args: Sequence[Any], kwargs: Mapping[str, Any], away: bool) -> list[Tensor]:
    found, _ = tree_flatten((args, kwargs))
    return [t for t in found if isinstance(t, Tensor) and isinstance(t, Away) == away]


def _inside(value: Any) -> Any:
    return tree_map(lambda found: found.inside if isinstance(found, Away) else found, value)


def _is_away(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME
