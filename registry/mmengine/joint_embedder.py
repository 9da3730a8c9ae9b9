"""The model of a prunable network whose capacities train without regard to each other."""

from __future__ import annotations

from typing import Any

from prunnet_pml.registry.mmengine.prunable_embedder import PrunableEmbedder
from prunnet_pml.registry.mmengine.registries import MODELS


@MODELS.register_module()
class JointEmbedder(PrunableEmbedder):
    """A ``PrunableEmbedder`` where every capacity has the same, plain loss: nothing is detached.

    With ``integration=dict(type="Sum")`` that is the joint training of all capacities. It takes
    what ``PrunableEmbedder`` takes.

    Args:
        **kwargs: As of ``PrunableEmbedder``. ``loss`` has class weights.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.loss_func = self.loss_func.loss
