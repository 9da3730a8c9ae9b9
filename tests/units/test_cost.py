"""A capacity costs about its share: what granularity "channel" is for."""

from __future__ import annotations

import pytest
import timm
import torch
from channel_networks import PROMISED
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import prunnet_pml as prunnet

AT_20 = {"resnet18": 0.30, "resnet50": 0.30, "convnext_tiny": 0.30, "vit_small_patch16_224": 0.30}
OTHERS = 0.33
"""Where more is left whole: few groups of wide convolutions, or a wide layer before the head."""


@torch.no_grad()
def multiplications(model: nn.Module, size: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *size))
    return counter.get_total_flops() // 2


def check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm.layers.config, "_USE_FUSED_ATTN", 0)  # it hides them
    network = timm.create_model(name, num_classes=8).eval()
    size = timm.get_pretrained_cfg(name).input_size
    dense = multiplications(network, size)
    model = prunnet.make_prunable(network, granularity="channel")
    shares = [multiplications(prunnet.prune(model, c), size) / dense for c in (0.2, 0.5, 0.8)]
    assert shares[0] <= AT_20.get(name, OTHERS)
    assert 0.4 < shares[1] < 0.6
    assert 0.7 < shares[2] < 0.9


def test_resnet18_costs_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    check("resnet18", monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_every_network_costs_its_share(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(name, monkeypatch)
