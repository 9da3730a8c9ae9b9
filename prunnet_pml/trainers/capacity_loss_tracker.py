"""PML's loss tracker with an entry per loss and capacity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytorch_metric_learning.utils.loss_tracker import LossTracker
from torch import Tensor

from prunnet_pml.draws import drawn_for
from prunnet_pml.record_names import loss_name


class CapacityLossTracker(LossTracker):
    """Keeps the losses of every capacity's pass, weighted, and their sum as the total.

    The dense network's losses keep their names, so that logs compare with those of PML's own
    trainers; beside ``metric_loss`` stand ``metric_loss_at_80`` and so on.

    Args:
        loss_names: What the trainer calls its losses; PML appends ``"total_loss"`` to the list.
        capacities: The trained capacities.

    Attributes:
        losses: By name. During a pass that pass's own, under the plain names; after ``finish``
            those of all passes.
        loss_weights: By name.
    """

    losses: dict[str, Any]  # 0 where a pass has none
    loss_weights: dict[str, float]

    def __init__(self, loss_names: list[str], capacities: tuple[float, ...]) -> None:
        super().__init__(loss_names)
        self.capacities = capacities
        self._own_names = [name for name in self.losses if name != "total_loss"]
        self._kept: dict[str, Any] = {}
        for capacity in capacities:
            for name in self._own_names:
                self.losses[loss_name(name, capacity)] = 0
                self.loss_weights[loss_name(name, capacity)] = 1

    def set_loss_weights(self, loss_weight_dict: Mapping[str, float]) -> None:
        """A loss has one weight at all capacities."""
        super().set_loss_weights(
            {
                loss_name(name, capacity): weight
                for name, weight in loss_weight_dict.items()
                for capacity in (1.0, *self.capacities)
            }
        )

    def start(self) -> None:
        """Before the first pass."""
        self._kept = {}

    def keep(self, capacity: float) -> None:
        """After a pass: notes its losses without their graph, and clears them for the next.

        What is between two trained capacities is noted as the larger of them.
        """
        place = drawn_for(self.capacities, capacity)
        for name in self._own_names:
            self._kept[loss_name(name, place)] = _detached(self.losses[name])
        for name in self.losses:
            self.losses[name] = 0

    def finish(self) -> None:
        """After the last pass: shows the losses of all."""
        self.losses.update(self._kept, total_loss=sum(self._kept.values()))


def _detached(loss: Any) -> Any:  # noqa: ANN401
    return loss.detach() if isinstance(loss, Tensor) else loss
