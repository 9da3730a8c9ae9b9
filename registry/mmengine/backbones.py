"""Backbones by name."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from prunnet_pml.demo.recipe import Recipe, build_network
from prunnet_pml.registry.mmengine.registries import MODELS
from prunnet_pml.registry.timm import PREFIX, check_name


def timm_backbone(name: str, **arguments: Any) -> nn.Module:  # noqa: ANN401
    """``dict(type="timm", name="resnet18", num_classes=128)``: a network of timm.

    Args:
        name: What timm calls it, with or without ``prunnet_`` before it.
        **arguments: As of ``timm.create_model``; ``num_classes`` is the embedding's size.

    Raises:
        ValueError: If timm knows no such name or tag; the nearest ones are named.
    """
    check_name(name, arguments.get("pretrained_cfg"))
    network: nn.Module = timm.create_model(name.removeprefix(PREFIX), **arguments)
    return network


def demo_resnet10() -> nn.Module:
    """``dict(type="demo_resnet10")``: the network of ``prunnet demo``, for small grey images."""
    return build_network(Recipe())


MODELS.register_module(name="timm", module=timm_backbone)
MODELS.register_module(module=demo_resnet10)
