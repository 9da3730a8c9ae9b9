"""Backbones by name."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from prunnet_pml.demo.recipe import Recipe, build_network
from prunnet_pml.registry.mmengine.registries import MODELS


def timm_backbone(name: str, **arguments: Any) -> nn.Module:  # noqa: ANN401
    """``dict(type="timm", name="resnet18", num_classes=128)``: a network of timm.

    Args:
        name: What timm calls it.
        **arguments: As of ``timm.create_model``; ``num_classes`` is the embedding's size.
    """
    network: nn.Module = timm.create_model(name, **arguments)
    return network


def demo_resnet10() -> nn.Module:
    """``dict(type="demo_resnet10")``: the network of ``prunnet demo``, for small grey images."""
    return build_network(Recipe())


MODELS.register_module(name="timm", module=timm_backbone)
MODELS.register_module(module=demo_resnet10)
