"""Which integrator a network is trained with if nobody says."""

from __future__ import annotations

from torch import nn

from prunnet_pml.integration.conflict_aware import ConflictAware


def default_integrator(model: nn.Module) -> ConflictAware:
    """``ConflictAware`` of every filter; of whole tensors where the network is depthwise.

    A filter of a depthwise convolution is a handful of numbers, so gradients of two capacities are
    at odds there more often than they mean to be. (The paper does the same for MobileNetV2.)
    """
    convolutions = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    depthwise = any(layer.groups == layer.in_channels > 1 for layer in convolutions)
    return ConflictAware(per_filter=not depthwise)
