"""What every integrator is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

Gradients = Sequence[Sequence[Tensor]]
"""``gradients[p][i]``: gradient ``i`` (0: dense) of tensor ``p``, shaped as the tensor."""


class Integrator(ABC):
    """Turns the N+1 gradients of every scored tensor into one."""

    @abstractmethod
    def __call__(self, gradients: Gradients, generator: torch.Generator) -> list[Tensor]:
        """Integrates.

        Args:
            gradients: ``gradients[p][i]``, gradient ``i`` of tensor ``p``. They are left as they
                are.
            generator: A CPU generator, in the same state on every rank, for whoever draws.

        Returns:
            One new tensor per ``p``.
        """

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"
