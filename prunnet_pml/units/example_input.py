"""The image that the layers' graph is traced with, where the user gives none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def example_images(model: nn.Module, example_input: Tensor | None) -> Tensor:
    """The user's batch, or a random image of the size that a timm network says it takes.

    Args:
        model: A plain network.
        example_input: A batch that ``model`` takes, or None.

    Raises:
        ValueError: If none is given and the network does not say its size.
    """
    if example_input is not None:
        if isinstance(example_input, Tensor):
            return example_input
        found = type(example_input).__name__
        raise ValueError(f"`example_input` should be a batch that `model` takes. Found {found}.")
    shape = _input_size(model)
    if shape is None:
        raise ValueError(
            "`example_input` should be a batch that `model` takes: only a timm network says which. "
            f"Found None for {type(model).__name__}."
        )
    parameter = next(model.parameters())
    generator = torch.Generator().manual_seed(0)  # leaves the user's random state alone
    return torch.randn(1, *shape, generator=generator).to(parameter)


def _input_size(model: nn.Module) -> tuple[int, int, int] | None:
    """(channels, height, width) from what timm writes on its networks."""
    config: Any = getattr(model, "pretrained_cfg", None)
    size = config.get("input_size") if isinstance(config, dict) else None
    if size is None:
        return None
    channels, height, width = size
    built_for = getattr(getattr(model, "patch_embed", None), "img_size", None)
    if built_for is not None:  # some are built for another size than they were trained at
        height, width = built_for
    channels = int(getattr(_first_layer(model), "in_channels", channels))
    return channels, height, width


def _first_layer(model: nn.Module) -> nn.Module | None:
    return next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
