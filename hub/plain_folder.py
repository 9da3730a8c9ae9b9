"""A plain network as a folder of stock timm: nothing of prunnet_pml is needed to load it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import torch
from torch import nn

from prunnet_pml.hub.architecture import timm_config
from prunnet_pml.hub.layout import CONFIG, DENSE
from prunnet_pml.hub.replacing import replacing_folder
from prunnet_pml.hub.saving import write_config, write_file
from prunnet_pml.network import is_prunable
from prunnet_pml.space import check_space_id

PLAIN_BLOCK = "prunnet_pruned"
"""The key in ``config.json`` that says what the network was pruned from; stock timm passes it."""


def save_plain(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    space_id: str,
    capacity: float,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Saves a pruned network as stock timm loads it: ``config.json`` and ``model.safetensors``.

    ``timm.create_model("local-dir:folder", pretrained=True)`` is all that a device needs. The
    folder is written whole or not at all; it says which space its embeddings are of.

    Args:
        model: What ``prune`` or ``from_pretrained(source, capacity)`` returned, of a network of
            timm.
        folder: Where to. New, empty, or one that was written here before.
        space_id: Of the network that it was pruned from.
        capacity: What it was pruned to.
        dtype: What parameters are stored as. timm loads them as float32.

    Returns:
        The folder.

    Raises:
        ValueError: If ``model`` is prunable, stock timm can't build it, or the folder holds
            something else.
        OSError: If the disk is full, say. What was there before is still there.
    """
    if is_prunable(model):
        raise ValueError("`model` should be plain, see prune. Found a prunable network.")
    parameters = {name for name, _ in model.named_parameters()}
    tensors = {
        name: (value.to(dtype) if name in parameters else value).detach().cpu()
        for name, value in model.state_dict().items()
    }
    shapes = {name: value.shape for name, value in tensors.items()}
    folder = Path(folder)
    with replacing_folder(folder, PLAIN_BLOCK) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an error of our own says it
            config = timm_config(model, shapes, temporary / CONFIG)
        if not config:
            raise ValueError(
                "`model` should be a network that timm builds from its name and arguments. Found "
                f"a {type(model).__name__} that it doesn't."
            )
        block = {"capacity": capacity, "space_id": check_space_id(space_id)}
        write_config({**config, PLAIN_BLOCK: block}, temporary / CONFIG)
        write_file(temporary, DENSE, tensors, space_id)
    return folder
