"""Believing a group of units only after a trial: cut out, the network computes as if masked."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from prunnet_pml.units.groups import UnitGroup
from prunnet_pml.units.outputs import tensors_of
from prunnet_pml.units.removal import remove_units

_TOLERANCE = 1e-6
"""Of the difference that masking makes, in float64: rounding stays far below, a wrong cut far
above, even one in a small branch among many."""

_COARSE = 1e-3
"""The same for a network that computes in less."""


def groups_that_hold(
    model: nn.Module, groups: Sequence[UnitGroup], images: Tensor
) -> tuple[UnitGroup, ...]:
    """The groups whose units can be cut out with the effect of masking them.

    A norm over all hidden channels, for one, sees fewer of them once they are cut. All groups are
    tried at once; one by one only where that fails. The trial is in float64, but for a network that
    insists on less.

    Args:
        model: The plain network of the groups. It stays as it is.
        groups: What the graph of layers says.
        images: A batch that ``model`` takes.
    """
    network, images = _precise(_stirred(model), images)
    if _holds(network, groups, images):
        return tuple(groups)
    return tuple(group for group in groups if _holds(network, [group], images))


@torch.no_grad()
def _holds(network: nn.Module, groups: Iterable[UnitGroup], images: Tensor) -> bool:
    masked, smaller = copy.deepcopy(network), copy.deepcopy(network)
    try:
        for group in groups:
            kept = range(0, group.units, 2)
            for reader in group.readers:
                pruned = reader.indices(group.units, range(1, group.units, 2))
                weight: Any = masked.get_submodule(reader.name)._parameters["weight"]
                weight[:, pruned] = 0
            remove_units(smaller, group, kept)
        expected, found = _outputs(masked, images), _outputs(smaller, images)
        effect = (_outputs(network, images) - expected).abs().max()
    except (RuntimeError, ValueError, IndexError, AssertionError):  # sizes that do not fit
        return False
    if expected.shape != found.shape:
        return False
    tolerance = _TOLERANCE if expected.dtype == torch.float64 else _COARSE
    return bool((expected - found).abs().max() <= tolerance * effect)


def _outputs(network: nn.Module, images: Tensor) -> Tensor:
    """What a network returns, as one vector."""
    return torch.cat([tensor.flatten() for tensor in tensors_of(network(images))])


@torch.no_grad()
def _precise(network: nn.Module, images: Tensor) -> tuple[nn.Module, Tensor]:
    """Both in float64, or, where the network fails or rounds in it, in float32."""
    precise, their = copy.deepcopy(network).double(), images.double()
    try:
        if _outputs(precise, their).dtype == torch.float64:
            return precise, their
    except RuntimeError:  # it casts to a type of its own
        pass
    return network.float(), images.float()


@torch.no_grad()
def _stirred(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose branches all show in the output.

    Fresh networks have some switched off: norms, layer scales or heads that start at or near 0.
    """
    network = copy.deepcopy(model).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        noise = torch.randn(parameter.shape, generator=generator).to(parameter)
        if parameter.dim() < 2:
            parameter.add_(noise, alpha=0.3)
        elif parameter.square().mean() < 1e-5:
            parameter.copy_(noise / parameter[0].numel() ** 0.5)
    return network
