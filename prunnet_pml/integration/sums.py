"""The two integrators that look at nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from prunnet_pml.integration.integrator import Gradients, Integrator


class Sum(Integrator):
    """The plain sum: joint training of all capacities."""

    def __call__(self, gradients: Gradients, generator: torch.Generator) -> list[Tensor]:  # noqa: ARG002
        totals = [tensor[0].clone() for tensor in gradients]
        for i in range(1, len(gradients[0])):
            torch._foreach_add_(totals, [tensor[i] for tensor in gradients])
        return totals


class Mean(Sum):
    """The plain mean: the sum's direction, whatever the number of capacities."""

    def __call__(self, gradients: Gradients, generator: torch.Generator) -> list[Tensor]:
        totals = super().__call__(gradients, generator)
        torch._foreach_div_(totals, len(gradients[0]))
        return totals
