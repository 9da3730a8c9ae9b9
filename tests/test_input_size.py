"""The size of a network's images: asked for in one way, and answered in one, wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from channel_networks import ByHand
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.export import export_program

Ask = Callable[[nn.Module, object, Path], object]
TAKE_A_SIZE: dict[str, Ask] = {
    "macs": lambda model, size, _: prunnet.capacity_for(model, macs=1e12, input_size=size),
    "latency": lambda model, size, _: prunnet.capacity_for(model, latency_ms=1e9, input_size=size),
    "export": lambda model, size, folder: export_program(
        model, folder / "network.pt2", 0.5, input_size=size
    ),
}


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    plain = timm.create_model("test_vit", num_classes=8, dynamic_img_size=False)
    return prunnet.make_prunable(plain, granularity="channel")


@pytest.mark.parametrize("size", [224, "abc", (3, 160), (3, 160, 160.0), (0, 160, 160)], ids=repr)
@pytest.mark.parametrize("ask", TAKE_A_SIZE.values(), ids=TAKE_A_SIZE)
def test_what_is_no_size(vit: nn.Module, ask: Ask, size: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        ask(vit, size, tmp_path)
    message = f"`input_size` should be (channels, height, width). Found {size!r}."
    assert str(caught.value) == message


@pytest.mark.parametrize("size", [(1, 160, 160), (3, 32, 32)], ids=["channels", "height"])
@pytest.mark.parametrize("ask", TAKE_A_SIZE.values(), ids=TAKE_A_SIZE)
def test_a_size_that_the_network_does_not_take(
    vit: nn.Module, ask: Ask, size: tuple[int, ...], tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as caught:
        ask(vit, size, tmp_path)
    assert str(caught.value).startswith(
        "`input_size` should be (channels, height, width) of images that VisionTransformer takes. "
        f"Found {size}: "
    )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("ask", TAKE_A_SIZE.values(), ids=TAKE_A_SIZE)
def test_a_network_that_does_not_say_its_size(ask: Ask, tmp_path: Path) -> None:
    images = torch.randn(1, 3, 32, 32)
    model = prunnet.make_prunable(ByHand(), granularity="channel", example_input=images)
    with pytest.raises(ValueError) as caught:
        ask(model, None, tmp_path)
    assert str(caught.value) == (
        "`input_size` should be (channels, height, width): only a timm network says which. "
        "Found None for ByHand."
    )
