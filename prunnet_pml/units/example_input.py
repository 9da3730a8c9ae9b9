"""The image that the layers' graph is traced with, where the user gives none."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prunnet_pml.input_size import stated_input_size


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
    if (shape := stated_input_size(model)) is None:
        raise ValueError(
            "`example_input` should be a batch that `model` takes: only a timm network says which. "
            f"Found None for {type(model).__name__}."
        )
    parameter = next(model.parameters())
    generator = torch.Generator().manual_seed(0)  # leaves the user's random state alone
    return torch.randn(1, *shape, generator=generator).to(parameter)
