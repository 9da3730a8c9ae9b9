"""The model of a prunable network whose capacities train without regard to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from prunnet_pml.losses import CompatibleLoss
from prunnet_pml.registry.mmengine.building import build, with_model
from prunnet_pml.registry.mmengine.prunable_embedder import PrunableEmbedder
from prunnet_pml.registry.mmengine.registries import MODELS


@MODELS.register_module()
class JointEmbedder(PrunableEmbedder):
    """A ``PrunableEmbedder`` where every capacity has the same, plain loss: nothing is detached.

    With ``integration=dict(type="Sum")`` that is the joint training of all capacities. It takes
    what ``PrunableEmbedder`` takes; of a ``CompatibleLoss`` the loss inside.

    Raises:
        ValueError: As ``PrunableEmbedder``, or if there are several ``CompatibleLoss`` in the loss.
    """

    def _build_loss(self, loss: Mapping[str, Any]) -> nn.Module:
        built: nn.Module = build(with_model(loss, self.backbone, MODELS), MODELS)
        if isinstance(built, CompatibleLoss):
            built = built.loss
        if any(isinstance(module, CompatibleLoss) for module in built.modules()):
            raise ValueError(
                "`loss` should be the plain loss of every capacity. Found a CompatibleLoss inside "
                f"of a {type(built).__name__}."
            )
        return built
