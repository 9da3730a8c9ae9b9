"""The image that the layers' graph is traced with, where the user gives none."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from prunnet_pml.input_size import stated_input_size


def example_images(model: nn.Module, example_input: Tensor | None) -> Tensor:
    """The user's batch, or a random image of the size that a timm network says it takes.

    Args:
        model: A plain network.
        example_input: A batch that ``model`` takes, or None.

    Raises:
        ValueError: If none is given and the network does not say its size, or it fails on the one
            that is given.
    """
    if example_input is not None:
        if not isinstance(example_input, Tensor):
            raise _refused(type(example_input).__name__)
        return _tried(model, example_input)
    if (shape := stated_input_size(model)) is None:
        raise ValueError(
            "`example_input` should be a batch that `model` takes: only a timm network says which. "
            f"Found None for {type(model).__name__}."
        )
    parameter = next(model.parameters())
    generator = torch.Generator().manual_seed(0)  # leaves the user's random state alone
    return torch.randn(1, *shape, generator=generator).to(parameter)


@torch.no_grad()
def _tried(model: nn.Module, images: Tensor) -> Tensor:
    """The images, after a copy of the network took them."""
    try:
        copy.deepcopy(model).eval()(images)
    except Exception as error:  # there is nothing that a network's forward can't raise
        reason = f"{type(error).__name__}, {str(error).partition(chr(10))[0]}"
        raise _refused(f"{tuple(images.shape)} of {images.dtype}: {reason}") from error
    return images


def _refused(found: str) -> ValueError:
    return ValueError(f"`example_input` should be a batch that `model` takes. Found {found}.")
