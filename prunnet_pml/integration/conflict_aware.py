"""The paper's integrator."""

from __future__ import annotations

import math
from numbers import Real
from typing import Literal

import torch
from torch import Tensor

from prunnet_pml.integration.gramian import (
    combine,
    count_rows,
    draw_orders,
    safe_divide,
    split_rows,
)
from prunnet_pml.integration.integrator import Gradients, Integrator

Projection = Literal["sequential", "last"]


class ConflictAware(Integrator):
    """Conflict-aware gradient integration, Sec. 3.4 of `Learning Compatible Multi-Prize Subnetworks
    for Asymmetric Retrieval <https://arxiv.org/abs/2504.11879>`_.

    In every row, each gradient is freed of what points against the others (Eq. 7). The freed
    gradients of a tensor are then weighted by how much of themselves they kept: with
    ``c_i = cos(p_i, g_i)`` over the whole tensor, ``w_i = ((c_i + 1) / 2)^alpha`` and
    ``r_i = w_i / sum(w)``, the result is ``(N + 1) sum_i r_i p_i``. Without a conflict that is the
    plain sum, unless a gradient is zero: its cosine counts as 0, and the others count more.

    Args:
        projection: ``"sequential"``, the published formula: ``p_i`` starts as ``g_i`` and loses its
            conflict with one gradient after the other. ``"last"``, what the authors' code computes:
            every conflict overwrites the one before, so that only the last one in the order counts.
        alpha: How much keeping one's direction counts. The paper: 0.5 for CNNs on SGD, 1 for
            transformers.
        per_filter: Whether every output filter of a 4-D tensor is a row of its own. The paper turns
            it off for MobileNetV2, whose depthwise filters, scored there, are nine numbers each.
        epsilon: Added to the squared norm that the projection divides by. The paper has 1e-8, by
            which a filter's gradient of norm 1e-4 is half removed and the result depends on the
            scale of the loss; at 0, the default, it is homogeneous (a zero gradient conflicts with
            none).

    Raises:
        ValueError: If ``projection`` is unknown, or ``alpha`` or ``epsilon`` is no finite
            number from 0 on.
    """

    def __init__(
        self,
        projection: Projection = "sequential",
        alpha: float = 0.5,
        per_filter: bool = True,
        epsilon: float = 0.0,
    ) -> None:
        if projection not in ("sequential", "last"):
            raise ValueError(
                f"`projection` should be 'sequential' or 'last'. Found {projection!r}."
            )
        for name, value in (("alpha", alpha), ("epsilon", epsilon)):
            if not isinstance(value, Real) or not 0 <= value < math.inf:
                raise ValueError(f"`{name}` should be at least 0 and finite. Found {value!r}.")
        self.projection: Projection = projection
        self.alpha = alpha
        self.per_filter = per_filter
        self.epsilon = epsilon

    def __call__(self, gradients: Gradients, generator: torch.Generator) -> list[Tensor]:
        counts = count_rows(gradients, self.per_filter)
        orders = draw_orders(counts, len(gradients[0]), generator)
        return self.integrate(gradients, orders)

    def integrate(self, gradients: Gradients, orders: Tensor) -> list[Tensor]:
        """Integrates with given orders.

        Args:
            gradients: ``gradients[p][i]``.
            orders: ``orders[p, i]`` is the order in which gradient ``i`` of tensor ``p`` meets the
                others, ``[tensors, n, n]``.
        """
        rows = split_rows(gradients, self.per_filter)
        orders = orders.to(rows.tensor.device, non_blocking=True)[rows.tensor]
        projected = project(rows.gramians, orders, self.projection, self.epsilon)
        inner = (projected * rows.gramians).sum(2)  # <p_i, g_i>: [rows, n]
        squared = (projected @ rows.gramians * projected).sum(2)  # |p_i|^2
        lengths = rows.gramians.diagonal(dim1=1, dim2=2)  # |g_i|^2
        inner, squared, lengths = map(rows.sum_per_tensor, (inner, squared, lengths))
        cosines = safe_divide(inner, (squared.clamp(min=0) * lengths).sqrt()).clamp(-1, 1)
        weights = ((cosines + 1) / 2) ** self.alpha
        ratios = safe_divide(weights, weights.sum(1, keepdim=True))  # [tensors, n]
        ratios = ratios * ratios.shape[1]
        coefficients = (ratios[rows.tensor].unsqueeze(2) * projected).sum(1)
        return combine(gradients, rows, coefficients)


def project(
    gramians: Tensor, orders: Tensor, projection: Projection, epsilon: float = 0.0
) -> Tensor:
    """Frees every gradient of its conflicts, in the coordinates of the row's gradients.

    Args:
        gramians: ``[rows, n, n]``.
        orders: ``orders[row, i]`` is the order in which gradient ``i`` meets the others,
            ``[rows, n, n]``.
        projection: See ``ConflictAware``.
        epsilon: See ``ConflictAware``.

    Returns:
        ``[rows, n, n]``; row ``i`` holds the coefficients of ``p_i`` over ``g_0 ... g_N``.
    """
    n = gramians.shape[1]
    start = torch.eye(n, dtype=gramians.dtype, device=gramians.device).expand_as(gramians)
    squared = gramians.diagonal(dim1=1, dim2=2) + epsilon
    own = torch.arange(n, device=gramians.device)
    projected = start.clone()
    for met in orders.unbind(2):  # met[row, i]: which gradient p_i meets now
        against = gramians.gather(1, met.unsqueeze(2).expand(-1, -1, n))  # <g_met, .>
        inner = ((start if projection == "last" else projected) * against).sum(2)
        conflict = (inner < 0) & (met != own)
        removed = torch.where(conflict, safe_divide(inner, squared.gather(1, met)), 0.0)
        step = torch.zeros_like(projected).scatter_(2, met.unsqueeze(2), removed.unsqueeze(2))
        if projection == "last":
            projected = torch.where(conflict.unsqueeze(2), start - step, projected)
        else:
            projected = projected - step
    return projected
