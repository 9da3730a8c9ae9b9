"""What has been trained already, out of a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from prunnet_pml.registry.mmengine.building import build
from prunnet_pml.registry.mmengine.reading import read_checkpoint
from prunnet_pml.registry.mmengine.registries import MODELS


def trained(
    module: Mapping[str, Any] | nn.Module, checkpoint: str | os.PathLike[str], prefix: str
) -> nn.Module:
    """``dict(type="trained", module=..., checkpoint=..., prefix=...)``: a part of a trained model.

    ::

        dict(
            type="trained",
            module=dict(type="timm", name="resnet18", num_classes=256),
            checkpoint="work_dirs/gldv2_resnet18_independent/epoch_30.pth",
            prefix="backbone.",
        )

    Args:
        module: Config of the part, a network or a loss with class weights, or the part.
        checkpoint: What ``PlainCheckpointHook`` saved; nothing that needs trust is read.
        prefix: Of the part's keys there: ``"backbone."`` or ``"loss_func."``.

    Raises:
        FileNotFoundError: If there is no such file; names it.
        ValueError: If the checkpoint has other keys or shapes than the part.
    """
    if not os.path.isfile(checkpoint):
        raise FileNotFoundError(
            f"`checkpoint` should be a file that a training left. Found none at {checkpoint}: "
            "train the dense network first, see docs/configs.md."
        )
    part: nn.Module = build(module, MODELS)
    state = read_checkpoint(checkpoint)
    own = {k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)}
    try:
        part.load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(
            f"`checkpoint` should hold a {type(part).__name__} under {prefix!r}. "
            f"Found in {checkpoint}: {error}"
        ) from error
    return part


MODELS.register_module(module=trained)
