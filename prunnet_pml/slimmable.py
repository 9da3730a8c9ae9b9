"""Slimmable networks, whose capacities are their first channels: what prunable ones are compared
with.

After `Slimmable Neural Networks <https://arxiv.org/abs/1812.08928>`_, in the form of `Switchable
Representation Learning Framework with Self-compatibility <https://arxiv.org/abs/2206.08289>`_:
capacity c runs the first sqrt(c) of the channels of every layer, so about c of the parameters, with
batch norms of its own.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from prunnet_pml.gradient_rows import GradientRows
from prunnet_pml.integration import Integrator


class SlimConv2d(nn.Conv2d):
    """A convolution that computes its first channels from as many as it is given."""

    capacity = 1.0

    def forward(self, images: Tensor) -> Tensor:
        """``[batch, some in channels, h, w] -> [batch, some out channels, h, w]``."""
        channels = round(math.sqrt(self.capacity) * self.out_channels)
        weight = self.weight[:channels, : images.shape[1]]
        convolved: Tensor = self._conv_forward(images, weight, None)
        return convolved


class SlimLinear(nn.Linear):
    """A linear layer, all of its outputs, from as many features as it is given."""

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, some features] -> [batch, out_features]``."""
        return nn.functional.linear(features, self.weight[:, : features.shape[1]], self.bias)


class SwitchableBatchNorm(nn.Module):
    """A batch norm per capacity: of the first channels behind a convolution, else of all."""

    capacity = 1.0

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, capacities: Iterable[float]) -> None:
        super().__init__()
        slim = isinstance(norm, nn.BatchNorm2d)
        widths = {c: math.sqrt(c) if slim else 1.0 for c in capacities}
        self.norms = nn.ModuleDict(
            {_key(c): _narrowed(norm, round(w * norm.num_features)) for c, w in widths.items()}
        )

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, some channels, ...]``, normalised by the capacity's own norm."""
        normalized: Tensor = self.norms[_key(self.capacity)](features)
        return normalized


def make_slimmable(network: nn.Module, capacities: Iterable[float]) -> nn.Module:
    """Exchanges the layers of a network of plain convolutions and batch norms, in place.

    Args:
        network: Such as timm's ResNets of basic blocks.
        capacities: Those that it will run at, 1.0 among them.

    Raises:
        ValueError: If a convolution has a bias, or groups: their first channels are no network. Or
            if a layer or norm is of a subclass, whose own ways would be lost.
    """
    capacities = tuple(capacities)
    plain = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and (module.bias is not None or module.groups > 1):
            raise ValueError(
                "`network` should have convolutions without bias and groups. "
                f"Found {name}: {module}."
            )
        if isinstance(module, plain) and type(module) not in plain:
            raise ValueError(
                "`network` should have torch's own convolutions, linear layers and batch norms. "
                f"Found {name}: {type(module).__name__}."
            )
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d):
                child.__class__ = SlimConv2d
            elif isinstance(child, nn.Linear):
                child.__class__ = SlimLinear
            elif isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, SwitchableBatchNorm(child, capacities))
    return network


def set_width(network: nn.Module, capacity: float) -> nn.Module:
    """Runs the network at a capacity from now on."""
    for module in network.modules():
        if isinstance(module, SlimConv2d | SwitchableBatchNorm):
            module.capacity = capacity
    return network


@torch.no_grad()
def narrowed(network: nn.Module, capacity: float, images: Tensor) -> nn.Module:
    """The network of one capacity on its own, of plain layers as wide as it needs.

    Args:
        network: A slimmable one. It stays as it is.
        capacity: One of those it was made with.
        images: A batch that it takes, to see how many channels enter each layer.

    Returns:
        A new network in eval mode.
    """
    network = set_width(copy.deepcopy(network), capacity).eval()
    entering: dict[nn.Module, int] = {}

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        entering[layer] = inputs[0].shape[1]

    slim = [m for m in network.modules() if isinstance(m, SlimConv2d | SlimLinear)]
    hooks = [layer.register_forward_pre_hook(look) for layer in slim]
    network(images)
    for hook in hooks:
        hook.remove()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, SlimConv2d | SlimLinear):
                setattr(module, name, _plain(child, entering[child]))
            elif isinstance(child, SwitchableBatchNorm):
                setattr(module, name, child.norms[_key(capacity)])
    return network


def backward_widths(
    network: nn.Module,
    capacities: Sequence[float],
    parameters: Sequence[nn.Parameter],
    backward: Callable[[float], None],
    integrator: Integrator,
    generator: torch.Generator,
) -> None:
    """Runs backward at every capacity and leaves the integrated gradients in ``.grad``.

    Args:
        network: A slimmable one. It is left at the last capacity.
        capacities: In which order.
        parameters: All that train, the loss's class weights too.
        backward: Called as ``backward(capacity)``, with the network set to it.
        integrator: What makes one gradient of all.
        generator: What the integrator draws from.
    """
    rows = GradientRows()
    for index, capacity in enumerate(capacities):
        set_width(network, capacity)
        for parameter in parameters:
            parameter.grad = None
        backward(capacity)
        for parameter in parameters:
            if parameter.grad is not None:
                gradient, parameter.grad = parameter.grad, None
                rows.add(parameter, index, len(capacities), gradient)
    rows.integrate({*parameters}, integrator, generator)


def _plain(layer: SlimConv2d | SlimLinear, entering: int) -> nn.Module:
    """A layer of the class that it had, cut to what it computes from so many inputs."""
    if isinstance(layer, SlimLinear):
        layer.__class__ = nn.Linear  # type: ignore[assignment]  # its parent
        layer.in_features = entering
        layer.weight = nn.Parameter(layer.weight[:, :entering].clone())
        return layer
    channels = round(math.sqrt(layer.capacity) * layer.out_channels)
    layer.__class__ = nn.Conv2d  # type: ignore[assignment]
    layer.in_channels, layer.out_channels = entering, channels
    layer.weight = nn.Parameter(layer.weight[:channels, :entering].clone())
    return layer


def _narrowed(norm: nn.BatchNorm1d | nn.BatchNorm2d, channels: int) -> nn.Module:
    narrow = type(norm)(channels, eps=norm.eps, momentum=norm.momentum)
    state = norm.state_dict()
    narrow.load_state_dict({k: v[:channels] if v.dim() else v for k, v in state.items()})
    for parameter, old in zip(narrow.parameters(), norm.parameters(), strict=True):
        parameter.requires_grad_(old.requires_grad)
    return narrow.to(next(iter(state.values())).device)


def _key(capacity: float) -> str:
    return f"{capacity:g}".replace(".", "_")
