"""A network that is copied, moved or read again at a capacity has its masks at once.

A compiled graph looks for none: it reads what was found.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from networks import TinyEmbedder
from torch import Tensor, nn

import prunnet_pml as prunnet

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "double": lambda model: model.double(),
}


@pytest.fixture(params=["weight", "channel"])
def at_20(request: pytest.FixtureRequest) -> nn.Module:
    images = {"example_input": torch.zeros(2, 1, 8, 8)} if request.param == "channel" else {}
    model = prunnet.make_prunable(TinyEmbedder(), granularity=request.param, **images)
    prunnet.set_capacity(model, 0.2)
    return model.eval()


def images_for(model: nn.Module) -> Tensor:
    return torch.randn(4, 1, 8, 8, dtype=next(model.parameters()).dtype)


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_it_compiles(at_20: nn.Module, made: Callable[[nn.Module], nn.Module]) -> None:
    copied = made(at_20)
    images = images_for(copied)
    compiled = torch.compile(copied, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), copied(images))
    torch.compiler.reset()


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_it_is_exported(at_20: nn.Module, made: Callable[[nn.Module], nn.Module]) -> None:
    copied = made(at_20)
    images = images_for(copied)
    with torch.no_grad():
        program = torch.export.export(copied, (images,))
        torch.testing.assert_close(program.module()(images), copied(images))
