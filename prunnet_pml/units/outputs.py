"""What a network returns, as tensors: it may be one, or a tuple or dictionary of some."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def tensors_of(output: object) -> list[Tensor]:
    """All tensors in what a network returned, in their order; anything else is passed over."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, tuple | list):
        return [tensor for part in output for tensor in tensors_of(part)]
    return []
