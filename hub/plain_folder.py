"""A plain network as a folder of stock timm: nothing of prunnet_pml is needed to load it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prunnet_pml.evaluation.writing import write_text
from prunnet_pml.hub.architecture import timm_config
from prunnet_pml.hub.layout import CONFIG, DENSE
from prunnet_pml.hub.manifest import PLAIN_BLOCK
from prunnet_pml.hub.replacing import replacing_folder
from prunnet_pml.hub.saving import write_config, write_file
from prunnet_pml.masks import check_capacity
from prunnet_pml.network import is_prunable
from prunnet_pml.space import check_space_id

KEPT = "kept_units.json"
"""Beside the weights, where hidden units were cut out."""


def save_plain(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    space_id: str,
    capacity: float,
    dtype: torch.dtype = torch.float32,
    kept: Mapping[str, Any] | None = None,
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
        kept: Of hidden units: what ``kept_units`` returned. It is written to ``kept_units.json``,
            and goes on a network of timm before its weights do::

                network = apply_kept_units(timm.create_model(...), json.loads(...))
                network.load_state_dict(load_file("model.safetensors"))

    Returns:
        The folder.

    Raises:
        ValueError: If ``model`` is prunable, stock timm can't build it, ``capacity`` is not in
            (0, 1], ``dtype`` is no floating-point type, or the folder is none that
            :func:`prunnet_pml.hub.save_pretrained` would replace.
        OSError: If the disk is full, say. What was there before is still there.
    """
    if is_prunable(model):
        raise ValueError("`model` should be plain, see prune. Found a prunable network.")
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"`dtype` should be a floating-point torch.dtype. Found {dtype!r}.")
    capacity = check_capacity(capacity)
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
            config = timm_config(model, shapes, temporary / CONFIG, kept)
        if not config:
            raise ValueError(
                "`model` should be a network that timm builds from its name and arguments. Found "
                f"a {type(model).__name__} that it doesn't."
            )
        block = {"capacity": capacity, "space_id": check_space_id(space_id)}
        write_config({**config, PLAIN_BLOCK: block}, temporary / CONFIG)
        write_file(temporary, DENSE, tensors, space_id)
        if kept is not None:
            write_text(temporary / KEPT, json.dumps(kept))
    return folder
