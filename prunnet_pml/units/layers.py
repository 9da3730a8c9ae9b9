"""Layers that read units: scored layers with one score per unit of their input.

Pruning a unit is not reading it. So a layer that reads units shows its weight with their columns
masked, and nothing between a unit's producer and its reader has to know: batch norms keep their
statistics, an activation need not be 0 at 0, and the masked network equals the one without them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunnet_pml.class_exchange import exchange_class, restore_class
from prunnet_pml.layers import ScoredLayer, straight_through
from prunnet_pml.masks import kept
from prunnet_pml.units.groups import UnitGroup

_CALM = 10
"""How much larger the scores of units start than those of weights are.

So an optimizer's steps change their order a tenth as often: a unit that comes or goes takes all its
weights along, and changes what every layer behind it reads.
"""


class UnitLayer(ScoredLayer):
    """A scored layer whose units are slices of its input: a mixin, as ScoredLayer is.

    Attributes:
        scores: One score per unit, [units]. Only in the first reader of a group.
        units: How many units the input holds.
        multiple: Units are kept in multiples of this.
    """

    units: int
    _first_reader: ScoredLayer | None  # whose scores count here, where they are another layer's

    def kept_at(self, capacity: float) -> list[int]:
        """The units that a capacity keeps, in ascending order; asked of the first reader."""
        return kept(self.scores, capacity, self.multiple).nonzero().flatten().tolist()

    def _masked(self, name: str) -> Any:  # noqa: ANN401
        parameter = self._parameters[name]
        if name != "weight":
            return parameter
        owner = self._first_reader or self
        scores = owner._parameters["scores"]
        masked = None if self.capacity == 1 else owner._mask("scores")
        if torch.is_grad_enabled() and scores.requires_grad:
            masked = straight_through(torch.ones_like(scores), scores, masked)
        elif masked is None:
            return parameter
        return (self._by_unit(parameter) * masked.unsqueeze(1)).view_as(parameter)

    def first_scores(self, name: str, initial_scores: Callable[[Tensor], Tensor]) -> Tensor:
        scores = _CALM * super().first_scores(name, initial_scores).view(self.units)
        return scores.to(self._parameters[name].dtype)

    def _ranked(self, name: str) -> Tensor:
        """The root mean square of what reads a unit, [1, units]."""
        weight: Tensor = self._parameters[name].detach()
        weight = weight.to(torch.promote_types(weight.dtype, torch.float32))  # squares: half
        return self._by_unit(weight).square().mean((0, 2)).sqrt().unsqueeze(0)

    def _by_unit(self, weight: Tensor) -> Tensor:
        """[out, in, ...] as [out, units, what reads one]."""
        return weight.reshape(weight.shape[0], self.units, -1)


def add_unit_scores(
    model: nn.Module,
    group: UnitGroup,
    initial_scores: Callable[[Tensor], Tensor],
    trained_capacities: tuple[float, ...],
) -> None:
    """Turns the layers that read a group's units into scored ones, in place.

    Args:
        model: The network that the group's names are of.
        group: Units without scores.
        initial_scores: Maps the magnitudes of the units, [1, units], to a tenth of their scores.
        trained_capacities: The capacities that take part in training, largest first.
    """
    first: UnitLayer | None = None
    readers = [model.get_submodule(reader.name) for reader in group.readers]
    trained = any(reader.get_parameter("weight").requires_grad for reader in readers)
    for reader in readers:
        layer = exchange_class(reader, UnitLayer)
        layer.start(trained_capacities)
        layer.units = group.units
        layer.multiple = group.multiple
        layer.__dict__["_first_reader"] = first  # not a submodule of this one
        if first is None:
            first = layer
            scores = layer.first_scores("weight", initial_scores)
            layer.register_parameter("scores", nn.Parameter(scores, trained))


def remove_unit_scores(layer: UnitLayer) -> None:
    """Turns a layer that reads units into one of its class that reads all, in place."""
    layer._parameters.pop("scores", None)
    layer.end()
    for name in ("units", "multiple", "_first_reader"):
        del layer.__dict__[name]
    restore_class(layer)
