"""What stands where a network belongs: a network, or an error that says what was found."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

_LONGEST = 80
"""Characters of what was found that a message shows."""


def check_network(network: object, name: str = "model") -> None:
    """Refuses what is no network: the name of one, its class, a state dict.

    Args:
        network: What was given.
        name: What the message calls it.

    Raises:
        ValueError: If it is no module.
    """
    if isinstance(network, nn.Module):
        return
    raise ValueError(f"`{name}` should be a network, an nn.Module. Found {shown(network)}.")


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside of wrappers: DDP's, DataParallel's and that of ``torch.compile``.

    (timm's ``unwrap_model`` takes any attribute named ``module`` for what is wrapped.)
    """
    while True:
        inner = getattr(network, "_orig_mod", None)  # of a compiled one
        if isinstance(network, DistributedDataParallel | DataParallel):
            inner = network.module
        if not isinstance(inner, nn.Module):
            return network
        network = inner


def as_input(
    images: Tensor, network: nn.Module, device: torch.device | str | None = None
) -> Tensor:
    """Images as a network takes them: on its device, as floating point numbers of its kind.

    Args:
        images: ``[batch, ...]``. Those of type uint8 are scaled to [0, 1]; other integers stay.
        network: What they are for.
        device: Where to send them in place of the network's device.
    """
    parameters = list(network.parameters())
    if device is None and parameters:
        device = parameters[0].device
    images = images.to(device)
    if images.dtype == torch.uint8:
        images = images / 255
    kinds = [parameter.dtype for parameter in parameters if parameter.is_floating_point()]
    fits = not kinds or images.dtype in kinds or not images.is_floating_point()
    return images if fits else images.to(kinds[0])


def shown(found: object) -> str:
    """What a message says that was found: its repr, or the type of what is pages long."""
    text = f"the class {found.__name__}" if isinstance(found, type) else repr(found)
    return text if len(text) <= _LONGEST else type(found).__name__


def check_embeddings(output: object, count: int) -> None:
    """Refuses what a network returns if that is no embeddings: a dictionary, or feature maps.

    Args:
        output: What was returned.
        count: Images that the network was given.

    Raises:
        ValueError: If it is no tensor ``[count, dimension]``.
    """
    if isinstance(output, Tensor) and output.dim() == 2 and len(output) == count:
        return
    found = type(output).__name__
    if isinstance(output, Tensor):
        found = f"a tensor of shape {tuple(output.shape)}"
    raise ValueError(
        f"`model` should return its embeddings as one tensor, [{count}, dimension]. Found {found}."
    )
