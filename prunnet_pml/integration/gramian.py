"""The algebra that integrators share: everything is a function of a row's Gram matrix.

A row is what gradients are compared on: one output filter of a convolution, or a whole tensor. Of a
row's n gradients only their n x n inner products matter, and the result is a combination of them.
So the rows of all tensors are handled as one batch of small matrices, with no loop over rows and no
number copied to the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunnet_pml.integration.integrator import Gradients

_PIECE = 1 << 16
"""Elements per gradient that are stacked at once: 1.3 MB for five gradients."""


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
    tensors, repeats = torch.arange(len(counts), device="cpu"), torch.tensor(counts, device="cpu")
    tensor = torch.repeat_interleave(tensors, repeats, output_size=sum(counts))
    return Rows(torch.cat(gramians), tensor.to(device, non_blocking=True), counts)


def combine(gradients: Gradients, rows: Rows, coefficients: Tensor) -> list[Tensor]:
    """One gradient per tensor: in every row the given combination of its gradients.

    Args:
        gradients: ``gradients[p][i]``.
        rows: Their rows.
        coefficients: ``[rows, n]``.
    """
    return [
        _combination(tensor, weights.to(tensor[0].dtype))
        for tensor, weights in zip(gradients, coefficients.split(rows.counts), strict=True)
    ]


def safe_divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator``, and 0 where the denominator is 0."""
    return torch.where(denominator == 0, 0.0, numerator / denominator)


def draw_orders(counts: Sequence[int], n: int, generator: torch.Generator) -> Tensor:
    """The order in which each gradient meets the others, ``[tensors, n, n]``, drawn on the CPU.

    One permutation shared by all gradients of a tensor of several rows, a fresh one per gradient
    for a tensor that is a single row: what the paper's measurements were made with.
    """
    drawn = torch.rand(len(counts), n, n, generator=generator, device="cpu")
    orders = drawn.argsort(dim=2)
    shared = torch.tensor([rows > 1 for rows in counts], device="cpu").reshape(-1, 1, 1)
    return torch.where(shared, orders[:, :1], orders)


def _gramian(tensor: Sequence[Tensor], rows: int) -> Tensor:
    """``[rows, n, n]``."""
    pieces = list(_pieces(tensor, rows))
    first, *_ = pieces[0]
    largest = first.new_empty(first.shape[0], len(tensor), first.shape[1])  # new pages are slow
    products = []
    for piece in pieces:
        stacked = largest[: len(piece[0]), :, : piece[0].shape[1]]  # [rows, n, k]
        torch.stack(piece, dim=1, out=stacked)
        products.append(_inner_products(stacked))
    return torch.stack(products).sum(0) if rows == 1 else torch.cat(products)


def _combination(tensor: Sequence[Tensor], weights: Tensor) -> Tensor:
    """The tensor's gradients, each row of theirs times its weights ``[rows, n]``, added up."""
    rows = len(weights)
    total = torch.empty_like(tensor[0], memory_format=_memory_format(tensor[0]))
    columns = [weights] if rows == 1 else weights.split(_rows_at_once(total, rows))
    for i, (part, *piece) in enumerate(_pieces([total, *tensor], rows)):
        first, *others = columns[i if rows > 1 else 0].unsqueeze(2).unbind(1)  # [rows, 1] each
        torch.mul(piece[0], first, out=part)
        for gradient, column in zip(piece[1:], others, strict=True):
            part.addcmul_(gradient, column)
    return total


def _pieces(tensors: Sequence[Tensor], rows: int) -> Iterator[tuple[Tensor, ...]]:
    """The same piece of every tensor, ``[some rows, k]`` or ``[1, part of k]``.

    On a CPU so small that all of them stay in the cache; elsewhere whole.
    """
    form = _memory_format(tensors[0])
    flat = [_in_memory_order(tensor.contiguous(memory_format=form), rows) for tensor in tensors]
    if rows == 1:
        size = _PIECE if flat[0].device.type == "cpu" else max(1, flat[0].numel())
        return zip(*(tensor.split(size, dim=1) for tensor in flat), strict=True)
    return zip(*(tensor.split(_rows_at_once(flat[0], rows)) for tensor in flat), strict=True)


def _memory_format(tensor: Tensor) -> torch.memory_format:
    last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    contiguous = tensor.is_contiguous()
    return torch.channels_last if last and not contiguous else torch.contiguous_format


def _in_memory_order(tensor: Tensor, rows: int) -> Tensor:
    """A view ``[rows, k]``: inner products don't care for the order within a row."""
    return (tensor if tensor.is_contiguous() else tensor.permute(0, 2, 3, 1)).view(rows, -1)


def _rows_at_once(tensor: Tensor, rows: int) -> int:
    if tensor.device.type != "cpu":
        return rows
    return max(1, _PIECE * rows // max(1, tensor.numel()))


def _inner_products(stacked: Tensor) -> Tensor:
    if stacked.dtype not in (torch.float32, torch.float64):
        stacked = stacked.float()
    return torch.bmm(stacked, stacked.mT).double()
