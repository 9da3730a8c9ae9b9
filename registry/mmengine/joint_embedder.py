"""The model of a prunable network whose capacities train without regard to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from prunnet_pml.registry.mmengine.building import build, with_model
from prunnet_pml.registry.mmengine.prunable_embedder import PrunableEmbedder
from prunnet_pml.registry.mmengine.registries import MODELS


@MODELS.register_module()
class JointEmbedder(PrunableEmbedder):
    """A ``PrunableEmbedder`` where every capacity has the same, plain loss: nothing is detached.

    Of a ``CompatibleLoss`` it takes the loss inside.

    With ``integration=dict(type="Sum")`` that is the joint training of all capacities. It takes
    what ``PrunableEmbedder`` takes.

    """

    def _build_loss(self, loss: Mapping[str, Any]) -> nn.Module:
        if str(loss["type"]).rpartition(".")[2] == "CompatibleLoss":
            loss = loss["loss"]
        built: nn.Module = build(with_model(loss, self.backbone, MODELS), MODELS)
        return built
