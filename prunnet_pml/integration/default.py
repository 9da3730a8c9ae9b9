"""Which integrator a network is trained with if nobody says."""

from __future__ import annotations

import math

from torch import nn

from prunnet_pml.integration.conflict_aware import ConflictAware
from prunnet_pml.network import scored_parameters
from prunnet_pml.selection import is_depthwise


def default_integrator(model: nn.Module) -> ConflictAware:
    """``ConflictAware`` of every filter; of whole tensors where some have nine numbers.

    That is where depthwise 3 x 3 filters are integrated: by ``score_depthwise``, or of granularity
    "channel". The gradients of two capacities are soon at odds in so few numbers. (The paper does
    the same for MobileNetV2. On the 7 x 7 filters of a ConvNeXt neither is better.)

    Args:
        model: The prunable network.

    Raises:
        ValueError: If it is none.
    """
    integrated = scored_parameters(model)
    per_filter = not any(
        is_depthwise(layer)
        and math.prod(layer.kernel_size) <= 9
        and layer._parameters.get("weight") in integrated
        for layer in model.modules()
    )
    return ConflictAware(per_filter=per_filter)
