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
    "bfloat16": lambda model: model.bfloat16(),
}


class TwoReaders(TinyEmbedder):
    """Its first units are read by two layers, of which one holds their scores."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Conv2d(6, 8, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = self.bn1(self.conv1(images)).relu()
        x = self.bn2(self.conv2(x) + self.again(x)).relu()
        return self.head(x.mean((2, 3)))


@pytest.fixture(params=["weight", "channel"])
def at_20(request: pytest.FixtureRequest) -> nn.Module:
    images = {"example_input": torch.zeros(2, 1, 8, 8)} if request.param == "channel" else {}
    model = prunnet.make_prunable(TwoReaders(), granularity=request.param, **images)
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


def test_a_copy_made_in_inference_mode_is_dense_at_least(at_20: nn.Module) -> None:
    """Its scores have no versions, so nothing could tell whether masks still hold."""
    with torch.inference_mode():
        copied = copy.deepcopy(at_20)
    prunnet.set_capacity(copied, 1.0)
    prunnet.set_capacity(at_20, 1.0)
    images = images_for(at_20)
    with torch.no_grad():
        torch.testing.assert_close(copied(images), at_20(images))
