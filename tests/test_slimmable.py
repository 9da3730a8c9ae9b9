"""Slimmable networks: the first channels are a network, and all of them train together."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.demo.recipe import Recipe, build_network
from prunnet_pml.slimmable import (
    SlimConv2d,
    SwitchableBatchNorm,
    backward_widths,
    make_slimmable,
    narrowed,
    set_width,
)

CAPACITIES = (1.0, 0.25)


def network() -> nn.Module:
    small = build_network(Recipe(widths=(4, 8, 12, 16)))
    small.fc = nn.Sequential(small.fc, nn.BatchNorm1d(128))
    return make_slimmable(small, CAPACITIES)


def test_a_slimmed_network_is_the_narrow_network_of_its_first_channels() -> None:
    model = network().eval()
    images = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        before = set_width(model, 0.25)(images)
        for module in model.modules():  # what lies beyond the first channels has no part in it
            if isinstance(module, SlimConv2d):
                module.weight[module.out_channels // 2 :] = torch.nan
        assert set_width(model, 0.25)(images).equal(before)
        assert set_width(model, 1.0)(images).isnan().all()


def test_a_width_of_one_is_the_network_that_it_was_made_of() -> None:
    plain = build_network(Recipe(widths=(4, 8, 12, 16))).eval()
    images = torch.rand(4, 1, 32, 32)
    before = plain(images)
    assert make_slimmable(plain, CAPACITIES).eval()(images).equal(before)


def test_gradients_of_all_widths_are_summed_and_norms_are_apart() -> None:
    model = network()
    parameters = list(model.parameters())
    images = torch.rand(8, 1, 32, 32)

    def backward(_: float) -> None:
        model(images).square().sum().backward()

    expected = [torch.zeros_like(p) for p in parameters]
    for capacity in CAPACITIES:
        model.zero_grad()
        set_width(model, capacity)
        backward(capacity)
        for total, parameter in zip(expected, parameters, strict=True):
            total += 0 if parameter.grad is None else parameter.grad
    generator = torch.Generator()
    backward_widths(model, CAPACITIES, parameters, backward, prunnet.Sum(), generator)
    for total, parameter in zip(expected, parameters, strict=True):
        torch.testing.assert_close(parameter.grad, total)
    tracked = {n: b for n, b in model.named_buffers() if n.endswith("num_batches_tracked")}
    assert {int(count) for count in tracked.values()} == {2}  # each norm once in either loop


def test_a_grouped_convolution_is_refused_by_name() -> None:
    model = build_network(Recipe(widths=(4, 8, 12, 16)))
    model.conv1 = nn.Conv2d(1, 4, 3, groups=1, bias=True)
    with pytest.raises(ValueError, match=r"`network` should have .* groups. Found conv1"):
        make_slimmable(model, CAPACITIES)
    model.conv1 = nn.Conv2d(4, 4, 3, groups=2, bias=False)
    with pytest.raises(ValueError, match=r"`network` should have .* groups. Found conv1"):
        make_slimmable(model, CAPACITIES)


def test_a_narrowed_network_computes_the_same_and_holds_no_more_than_it_needs() -> None:
    model, images = network().eval(), torch.rand(4, 1, 32, 32)
    for capacity in CAPACITIES:
        alone = narrowed(model, capacity, images)
        with torch.no_grad():
            torch.testing.assert_close(alone(images), set_width(model, capacity)(images))
        assert not any(isinstance(m, SlimConv2d | SwitchableBatchNorm) for m in alone.modules())
    wide = sum(p.numel() for p in narrowed(model, 1.0, images).layer4.parameters())
    narrow = sum(p.numel() for p in alone.layer4.parameters())
    assert narrow / wide == pytest.approx(0.25, abs=0.01)


def test_layers_that_are_more_than_torchs_own_are_refused() -> None:
    model = build_network(Recipe(widths=(4, 8, 12, 16)))
    model.bn1 = timm.layers.BatchNormAct2d(4, act_layer=nn.SiLU)
    with pytest.raises(ValueError, match=r"torch's own .* Found bn1: BatchNormAct2d"):
        make_slimmable(model, CAPACITIES)


def test_frozen_norms_stay_frozen() -> None:
    model = build_network(Recipe(widths=(4, 8, 12, 16)))
    model.bn1.requires_grad_(False)
    make_slimmable(model, CAPACITIES)
    assert not any(parameter.requires_grad for parameter in model.bn1.parameters())
    assert all(parameter.requires_grad for parameter in model.layer1.parameters())
