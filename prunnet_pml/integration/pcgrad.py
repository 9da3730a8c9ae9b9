"""PCGrad, the method that the paper's projection goes back to."""

from __future__ import annotations

import torch
from torch import Tensor

from prunnet_pml.integration.conflict_aware import project
from prunnet_pml.integration.gramian import combine, draw_orders, split_rows
from prunnet_pml.integration.integrator import Gradients, Integrator


class PCGrad(Integrator):
    """Projecting conflicting gradients, Algorithm 1 of `Gradient Surgery for Multi-Task Learning
    <https://arxiv.org/abs/2001.06782>`_: the gradients of the whole network are one row, each loses
    its conflicts in an order of its own, and the freed gradients are summed.
    """

    def __call__(self, gradients: Gradients, generator: torch.Generator) -> list[Tensor]:
        n = len(gradients[0])
        rows = split_rows(gradients, per_filter=False)
        gramian = rows.gramians.sum(0, keepdim=True)  # of the whole network
        orders = draw_orders((1,), n, generator).to(gramian.device, non_blocking=True)
        coefficients = project(gramian, orders, "sequential").sum(1)  # [1, n]
        return combine(gradients, rows, coefficients.expand(len(gradients), n))
