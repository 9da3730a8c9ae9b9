"""A step that an infinite or NaN gradient skips, with or without a ``GradScaler``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def step_if_finite(
    optimizer: torch.optim.Optimizer, scale: Tensor | None = None, found_inf: Tensor | None = None
) -> bool:
    """Steps an optimizer unless a gradient is infinite or NaN.

    Args:
        optimizer: Any optimizer. One that is ``fused`` decides in its kernel, on the device.
        scale: What a ``GradScaler`` has multiplied the gradients by, if it has not divided yet.
        found_inf: What a ``GradScaler`` has found: 0.0 if all gradients are finite. Found here if
            not given.

    Returns:
        False if the step was skipped. True if it was not, or a kernel decides: then the host waits
        for nothing.
    """
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None and parameter.grad.numel()
    ]
    if found_inf is None:
        largest = torch.nn.utils.get_total_norm(gradients, float("inf"))  # no sum, no overflow
        found_inf = 1.0 - largest.isfinite().float()
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        fused: Any = optimizer
        fused.grad_scale, fused.found_inf = scale, found_inf
        try:
            fused.step()
        finally:
            del fused.grad_scale, fused.found_inf
        return True
    if found_inf.item():
        return False
    if scale is not None:
        torch._foreach_div_(gradients, scale)
    optimizer.step()
    return True
