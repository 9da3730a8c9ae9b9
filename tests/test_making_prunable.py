"""``make_prunable`` makes all of a network prunable, or leaves it as it was."""

from __future__ import annotations

import warnings

import pytest
import torch
from networks import TinyEmbedder
from torch import Tensor, nn

import prunnet_pml as prunnet


class FrozenNorm(nn.Module):
    """As torchvision's and timm's: no batch norm of torch, with running statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        return features


def classes(model: nn.Module) -> list[type]:
    return [type(module) for module in model.modules()]


def test_a_failure_half_way_leaves_the_network_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TinyEmbedder()
    model.bn2.num_batches_tracked = None
    before, keys = classes(model), set(model.state_dict())
    register, calls = nn.Module.register_buffer, []

    def failing(module: nn.Module, name: str, *args: object) -> None:
        calls.append(name)
        if calls.count("capacity_running_var") == 2:
            raise MemoryError
        register(module, name, *args)

    monkeypatch.setattr(nn.Module, "register_buffer", failing)
    with pytest.raises(MemoryError):
        prunnet.make_prunable(model)
    monkeypatch.undo()
    assert classes(model) == before
    assert set(model.state_dict()) == keys
    prunnet.make_prunable(model)


def test_a_warning_that_is_an_error_leaves_the_network_as_it_was() -> None:
    model = TinyEmbedder()
    model.bn1 = FrozenNorm(model.bn1.num_features)
    before = classes(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=r"has one set of running statistics"):
            prunnet.make_prunable(model)
    assert classes(model) == before
    assert not prunnet.is_prunable(model)


def test_a_norm_with_an_attribute_that_sets_need_is_refused() -> None:
    class Scaled(nn.BatchNorm2d):
        def __init__(self, channels: int) -> None:
            super().__init__(channels)
            self.capacity = 7.0

        def forward(self, features: Tensor) -> Tensor:
            return self.capacity * super().forward(features)

    model = TinyEmbedder()
    model.bn1 = Scaled(model.bn1.num_features)
    before = classes(model)
    with pytest.raises(ValueError, match=r"`bn1` should have no attribute `capacity`"):
        prunnet.make_prunable(model)
    assert classes(model) == before


@pytest.mark.parametrize("name", ["end", "start", "scored", "_masks", "bias_scores"])
def test_a_layer_with_an_attribute_that_a_scored_one_has_is_refused(name: str) -> None:
    model = TinyEmbedder()
    setattr(model.conv2, name, 3)
    with pytest.raises(ValueError, match=rf"`conv2` should have no attribute `{name}`"):
        prunnet.make_prunable(model)


def test_a_layer_with_an_attribute_that_units_need_is_refused() -> None:
    model = TinyEmbedder()
    model.conv2.units = 12
    images = torch.zeros(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"`conv2` should have no attribute `units`"):
        prunnet.make_prunable(model, granularity="channel", example_input=images)
    assert type(model.conv2) is nn.Conv2d
    prunnet.make_prunable(model)  # of weights it may have one
