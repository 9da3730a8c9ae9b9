"""What is exported: a plain network on the CPU, a batch for it, and what its file says of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunnet_pml.given_network import check_embeddings, unwrapped
from prunnet_pml.input_size import input_size_for
from prunnet_pml.masks import check_capacity
from prunnet_pml.network import is_prunable
from prunnet_pml.pruning import prune
from prunnet_pml.space import SPACE_ID, check_space_id
from prunnet_pml.space import space_id as space_id_of

_NORMALISATION = ("mean", "std", "interpolation", "crop_pct")
"""What timm says of how images are prepared."""


@dataclass(frozen=True)
class Exportable:
    """A network that can be exported.

    Attributes:
        network: A plain one in eval mode, on the CPU.
        images: A batch of two that it takes: exporters take a batch of one for a constant.
        metadata: For the file, by key. What is no text is JSON.
    """

    network: nn.Module
    images: Tensor
    metadata: dict[str, str]

    @property
    def dynamic_shapes(self) -> tuple[dict[int, Any]]:
        """For ``torch.export``: batches of every size."""
        return ({0: torch.export.Dim("batch")},)


def exportable(
    model: nn.Module,
    capacity: float | None,
    input_size: Sequence[int] | None,
    space_id: str | None,
) -> Exportable:
    """Gets a network ready for export.

    Args:
        model: A prunable network, which is pruned to ``capacity``, or a plain one. It stays as it
            is.
        capacity: In (0, 1]. Of a plain network it is only written down.
        input_size: (channels, height, width), by default what timm says of the network.
        space_id: By default that of a prunable network.

    Raises:
        ValueError: If an argument is out of its range, or missing where nothing else says it, or
            the network's output is no tensor [batch, dimension].
    """
    if is_prunable(model):
        own = space_id_of(model)
        if space_id not in (None, own):
            raise ValueError(
                f"`space_id` should be left out of a prunable network. Found {space_id!r}."
            )
        space_id = own
        network = prune(model, check_capacity(capacity))
    else:
        network = copy.deepcopy(unwrapped(model)).eval()
    metadata: dict[str, Any] = {}
    if space_id is not None:
        metadata[SPACE_ID] = check_space_id(space_id)
    if capacity is not None:
        metadata["prunnet_capacity"] = f"{check_capacity(capacity):.7g}"
    size = input_size_for(network.cpu(), input_size)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, *size, generator=generator).to(next(network.parameters()))
    with torch.no_grad():
        check_embeddings(network(images), len(images))
    config = getattr(network, "pretrained_cfg", None)
    known = config if isinstance(config, dict) else {}
    metadata["input_size"] = json.dumps(size)
    for key in _NORMALISATION:
        if known.get(key) is not None:
            metadata[key] = known[key] if isinstance(known[key], str) else json.dumps(known[key])
    return Exportable(network, images, metadata)
