"""How large the images of a network are: what the user says, or else timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

Size = tuple[int, int, int]
"""Channels, height and width."""


def check_input_size(input_size: object) -> Size:
    """Returns ``input_size`` as a tuple.

    Raises:
        ValueError: If it is no three positive integers.
    """
    if isinstance(input_size, Sequence) and len(input_size) == 3:
        channels, height, width = input_size
        if all(type(number) is int and number > 0 for number in input_size):
            return channels, height, width
    raise _error(f". Found {input_size!r}.")


def input_size_for(network: nn.Module, input_size: Sequence[int] | None) -> Size:
    """The size that is given, once the network has taken an image of it, or the one timm says.

    Args:
        network: A plain network in eval mode.
        input_size: (channels, height, width), or None.

    Raises:
        ValueError: If the network does not take it, or none is given and it does not say its size.
    """
    name = type(network).__name__
    if input_size is None:
        if (stated := stated_input_size(network)) is None:
            raise _error(f": only a timm network says which. Found None for {name}.")
        return stated
    size = check_input_size(input_size)
    try:
        with torch.no_grad():
            network(torch.zeros(1, *size).to(next(network.parameters())))
    except Exception as error:  # there is nothing that a network's forward can't raise
        reason = f"{type(error).__name__}, {str(error).partition(chr(10))[0]}"
        raise _error(f" of images that {name} takes. Found {size}: {reason}") from error
    return size


def stated_input_size(model: nn.Module) -> Size | None:
    """The size in what timm writes on its networks, None on another one."""
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


def _error(rest: str) -> ValueError:
    return ValueError(f"`input_size` should be (channels, height, width){rest}")
