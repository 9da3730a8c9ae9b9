"""The algebra that integrators share: everything is a function of a row's Gram matrix.

A row is what gradients are compared on: one output filter of a convolution, or a whole tensor. Of a
row's n gradients only their n x n inner products matter, and the result is a combination of them.
So the rows of all tensors are handled as one batch of small matrices, with no loop over rows and no
number copied to the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunnet_pml.integration.integrator import Gradients

_PIECE = 1 << 17
"""Elements per gradient that are stacked at once: 2.5 MB for five gradients."""


@dataclass(frozen=True)
class Rows:
    """The rows of several tensors.

    Attributes:
        gramians: Inner products of every row's gradients, float64 ``[rows, n, n]``.
        tensor: Which tensor a row is part of, ``[rows]``.
        counts: How many rows each tensor has.
    """

    gramians: Tensor
    tensor: Tensor
    counts: tuple[int, ...]

    def sum_per_tensor(self, values: Tensor) -> Tensor:
        """``[rows, ...]`` -> ``[tensors, ...]``: the sum over the rows of each tensor."""
        sums = values.new_zeros(len(self.counts), *values.shape[1:])
        return sums.index_add(0, self.tensor, values)


def count_rows(gradients: Gradients, per_filter: bool) -> tuple[int, ...]:
    """How many rows each tensor has: one per output filter of a 4-D tensor, or one."""
    return tuple(t[0].shape[0] if per_filter and t[0].dim() == 4 else 1 for t in gradients)


def split_rows(gradients: Gradients, per_filter: bool) -> Rows:
    """Finds the Gram matrices of all rows.

    Args:
        gradients: ``gradients[p][i]``.
        per_filter: Whether every output filter of a 4-D tensor is a row; otherwise the tensor is
            one.
    """
    counts = count_rows(gradients, per_filter)
    device = gradients[0][0].device
    gramians = [_gramian(tensor, rows) for tensor, rows in zip(gradients, counts, strict=True)]
    tensor = torch.repeat_interleave(
        torch.arange(len(counts)), torch.tensor(counts), output_size=sum(counts)
    )
    return Rows(torch.cat(gramians), tensor.to(device, non_blocking=True), counts)


def combine(gradients: Gradients, rows: Rows, coefficients: Tensor) -> list[Tensor]:
    """One gradient per tensor: in every row the given combination of its gradients.

    Args:
        gradients: ``gradients[p][i]``.
        rows: Their rows.
        coefficients: ``[rows, n]``.
    """
    integrated = []
    for tensor, weights in zip(gradients, coefficients.split(rows.counts), strict=True):
        shape = (len(weights), *[1] * (tensor[0].dim() - 1)) if len(weights) > 1 else ()
        columns = weights.to(tensor[0].dtype).unbind(1)
        total = tensor[0] * columns[0].reshape(shape)
        for gradient, column in zip(tensor[1:], columns[1:], strict=True):
            total.addcmul_(gradient, column.reshape(shape))
        integrated.append(total)
    return integrated


def safe_divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator``, and 0 where the denominator is 0."""
    return torch.where(denominator == 0, 0.0, numerator / denominator)


def draw_orders(counts: Sequence[int], n: int, generator: torch.Generator) -> Tensor:
    """The order in which each gradient meets the others, ``[tensors, n, n]``, drawn on the CPU.

    One permutation shared by all gradients of a tensor of several rows, a fresh one per gradient
    for a tensor that is a single row: what the paper's measurements were made with.
    """
    orders = torch.rand(len(counts), n, n, generator=generator).argsort(dim=2)
    shared = torch.tensor([rows > 1 for rows in counts]).reshape(-1, 1, 1)
    return torch.where(shared, orders[:, :1], orders)


def _gramian(tensor: Sequence[Tensor], rows: int) -> Tensor:
    """``[rows, n, n]``, by pieces that stay in the cache."""
    flat = [gradient.reshape(rows, -1) for gradient in tensor]  # [rows, k] each
    if rows == 1:
        pieces = zip(*(gradient.split(_PIECE, dim=1) for gradient in flat), strict=True)
        return torch.stack([_inner_products(piece) for piece in pieces]).sum(0)
    at_once = max(1, _PIECE // flat[0].shape[1])
    pieces = zip(*(gradient.split(at_once) for gradient in flat), strict=True)
    return torch.cat([_inner_products(piece) for piece in pieces])


def _inner_products(piece: Sequence[Tensor]) -> Tensor:
    stacked = torch.stack(list(piece), dim=1)  # [rows, n, k]
    if stacked.dtype not in (torch.float32, torch.float64):
        stacked = stacked.float()
    return torch.bmm(stacked, stacked.mT).double()
