"""Which pass of a training loop a prunable network is in: one over some batches at one capacity."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

from prunnet_pml.network import first_scored_layer, scored_layers

_NUMBERS = itertools.count()
_RUNNING: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""By scored layer, so that any part of the network leads to it."""


@contextmanager
def new_pass(model: nn.Module) -> Iterator[None]:
    """What ``model`` embeds inside of the block is one pass."""
    layers = scored_layers(model).values()
    _RUNNING.update(dict.fromkeys(layers, next(_NUMBERS)))
    try:
        yield
    finally:
        for layer in layers:
            _RUNNING.pop(layer, None)


def get_pass(model: nn.Module) -> int | None:
    """The number of the pass that runs, another one for every pass; None outside of one."""
    return _RUNNING.get(first_scored_layer(model))


def is_any_running() -> bool:
    """Whether a pass of any network runs."""
    return bool(_RUNNING)
