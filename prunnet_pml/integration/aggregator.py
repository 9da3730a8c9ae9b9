"""Any function of a Jacobian as an integrator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from prunnet_pml.integration.integrator import Gradients, Integrator


class Aggregator(Integrator):
    """Hands the gradients of the whole network to a function of one matrix.

    Every aggregator of `TorchJD <https://torchjd.org>`_ is such a function, and so is a lambda.

    Args:
        function: Maps a matrix ``[N + 1, n]``, a gradient per row, dense first, to a vector
            ``[n]``. ``N`` is the number of subnetworks in a step.

    Raises:
        ValueError: If ``function`` can't be called; when called, if what it returns has another
            shape.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        if not callable(function) or isinstance(function, type):
            raise ValueError(
                "`integration` should be an Integrator or a function of a matrix. "
                f"Found {function!r}."
            )
        self.function = function

    def __call__(self, gradients: Gradients, generator: torch.Generator) -> list[Tensor]:  # noqa: ARG002
        dense = [tensor[0] for tensor in gradients]
        matrix = torch.stack(
            [
                torch.cat([tensor[i].reshape(-1) for tensor in gradients])
                for i in range(len(gradients[0]))
            ]
        )
        vector = self.function(matrix)
        if not isinstance(vector, Tensor) or vector.shape != matrix.shape[1:]:
            found = tuple(vector.shape) if isinstance(vector, Tensor) else type(vector).__name__
            raise ValueError(
                f"`integration` should map [{len(matrix)}, n] to [n], n = {matrix.shape[1]}. "
                f"Found {found}."
            )
        pieces = vector.split([gradient.numel() for gradient in dense])
        return [
            piece.view(g.shape).to(g.dtype, copy=True)
            for piece, g in zip(pieces, dense, strict=True)
        ]


def as_integrator(integration: Integrator | Callable[[Tensor], Tensor]) -> Integrator:
    """An integrator as it is, or any other callable as an ``Aggregator``."""
    return integration if isinstance(integration, Integrator) else Aggregator(integration)
