"""Backbones by name."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from prunnet_pml.demo.recipe import Recipe, build_network
from prunnet_pml.registry.mmengine.registries import MODELS
from prunnet_pml.registry.timm import PREFIX, check_name


def timm_backbone(name: str, *, embedding_norm: bool = False, **arguments: Any) -> nn.Module:  # noqa: ANN401
    """``dict(type="timm", name="resnet18", num_classes=128)``: a network of timm.

    Args:
        name: What timm calls it, with or without ``prunnet_`` before it.
        embedding_norm: Whether a batch norm follows the embedding head, as in the paper. It is part
            of the head, so every capacity has its own statistics; stock timm doesn't know it.
        **arguments: As of ``timm.create_model``; ``num_classes`` is the embedding's size.

    Raises:
        ValueError: If timm knows no such name or tag (the nearest ones are named), or the network
            has no head to put a norm behind.
    """
    check_name(name, arguments.get("pretrained_cfg"))
    network: nn.Module = timm.create_model(name.removeprefix(PREFIX), **arguments)
    if embedding_norm:
        _add_embedding_norm(network)
    return network


def _add_embedding_norm(network: Any) -> None:  # noqa: ANN401
    """Puts a batch norm behind the embedding head, inside what ``get_classifier()`` returns."""
    head = network.get_classifier()
    if not isinstance(head, nn.Linear):
        raise ValueError(
            "`embedding_norm` should be False for a network without a Linear embedding head, "
            f"`num_classes` of outputs. Found {head}."
        )
    name = next(name for name, module in network.named_modules() if module is head)
    network.set_submodule(name, nn.Sequential(head, nn.BatchNorm1d(head.out_features)))


def demo_resnet10() -> nn.Module:
    """``dict(type="demo_resnet10")``: the network of ``prunnet demo``, for small grey images."""
    return build_network(Recipe())


MODELS.register_module(name="timm", module=timm_backbone)
MODELS.register_module(module=demo_resnet10)
