"""What the optimizer wrapper collects: the gradients of every capacity, by parameter."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from prunnet_pml.integration import Integrator


class GradientRows:
    """N+1 gradients per parameter, dense first, added up over several loops.

    A gradient is taken as it is and not copied, so collecting costs no time and no second memory.
    After a step the gradients stay allocated until those of the next step take their place. (Where
    all are freed at once, a CPU's allocator gives the pages back to the system, and to get them
    again takes longer than the integration.)
    """

    def __init__(self) -> None:
        self._rows: dict[nn.Parameter, list[Tensor | None]] = {}
        self._retired: list[list[Tensor | None]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Forgets and frees everything."""
        self._rows, self._retired = {}, []

    def retire(self) -> None:
        """Forgets everything, and frees it where ``make_room`` says so."""
        self._rows, self._retired = {}, [*self._rows.values()]

    def make_room(self, index: int) -> None:
        """Frees what gradient ``index`` was before it retired: the next one may lie there."""
        for rows in self._retired:
            if index < len(rows):
                rows[index] = None

    def add(self, parameter: nn.Parameter, index: int, count: int, gradient: Tensor) -> None:
        """Adds gradient ``index`` of ``count``; who calls must not use ``gradient`` any more."""
        rows = self._rows.setdefault(parameter, [None] * count)
        found = rows[index]
        if found is not None:
            found.add_(gradient)
        else:  # a view is DDP's bucket, which the next backward overwrites
            rows[index] = gradient.clone() if gradient._is_view() else gradient

    def integrate(
        self,
        scored: Collection[nn.Parameter],
        integrator: Integrator,
        generator: torch.Generator,
    ) -> None:
        """Leaves one gradient per parameter in ``.grad``: integrated if scored, summed if not."""
        integrated = [parameter for parameter in self._rows if parameter in scored]
        gradients = [
            [torch.zeros_like(parameter) if row is None else row for row in self._rows[parameter]]
            for parameter in integrated
        ]
        results = list(integrator(gradients, generator)) if gradients else []
        if len(results) != len(integrated):
            raise ValueError(
                f"`integrator` should return a gradient for each of {len(integrated)} tensors. "
                f"Found {len(results)} of {integrator!r}."
            )
        for parameter, result in zip(integrated, results, strict=True):
            parameter.grad = result
        for parameter, rows in self._rows.items():
            if parameter not in scored:
                first, *others = [row for row in rows if row is not None]
                parameter.grad = first.clone()
                for row in others:
                    parameter.grad.add_(row)

    def not_finite(self) -> tuple[nn.Parameter, int] | None:
        """The first parameter and gradient index that holds an infinity or NaN."""
        for parameter, rows in self._rows.items():
            for index, row in enumerate(rows):
                if row is not None and not row.isfinite().all():
                    return parameter, index
        return None
