"""Which integrator a network is trained with if nobody says."""

from __future__ import annotations

import math

from torch import nn

from prunnet_pml.integration.conflict_aware import ConflictAware


def default_integrator(model: nn.Module) -> ConflictAware:
    """``ConflictAware`` of every filter; of whole tensors where there are depthwise 3 x 3 filters.

    Those are nine numbers each, and the gradients of two capacities are soon at odds in so few.
    (The paper does the same for MobileNetV2. On the 7 x 7 filters of a ConvNeXt neither is better.)
    """
    per_filter = not any(
        layer.groups == layer.in_channels > 1 and math.prod(layer.kernel_size) <= 9
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d)
    )
    return ConflictAware(per_filter=per_filter)
