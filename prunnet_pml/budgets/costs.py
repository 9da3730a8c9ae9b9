"""What the subnetwork of any capacity takes, from what it keeps and without its weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from prunnet_pml.budgets.counting import count_bytes, count_macs, count_parameters
from prunnet_pml.masks import threshold_rank
from prunnet_pml.network import scored_layers, set_capacity
from prunnet_pml.plain import make_plain
from prunnet_pml.units.kept import apply_kept_units, kept_units


def dense_network(model: nn.Module) -> nn.Module:
    """A plain copy of a prunable network, all of it."""
    network = copy.deepcopy(model)
    set_capacity(network, 1.0)
    return make_plain(network).eval()


class ChannelCosts:
    """What subnetworks of granularity "channel" take: those of their shapes on the meta device.

    Args:
        model: A prunable network.
        input_size: Of an image, [channels, height, width]; None if MACs are not asked for.
    """

    def __init__(self, model: nn.Module, input_size: Sequence[int] | None) -> None:
        self._model = model
        self._dense = dense_network(model).to("meta")
        self._input_size = input_size
        self._found: dict[tuple[int, ...], dict[str, int]] = {}

    def at(self, capacity: float) -> dict[str, int]:
        """``macs``, ``params`` and ``bytes``; capacities that keep as many units cost one count."""
        kept = kept_units(self._model, capacity)
        counts = tuple(len(group["kept"]) for group in kept["groups"])
        if counts not in self._found:
            network = apply_kept_units(copy.deepcopy(self._dense), kept)
            self._found[counts] = _counted(network, self._input_size)
        return self._found[counts]


class WeightCosts:
    """What subnetworks of granularity "weight" take: kept values, a bit mask, and the rest.

    Args:
        model: A prunable network.
        input_size: Of an image, [channels, height, width]; None if MACs are not asked for.
    """

    def __init__(self, model: nn.Module, input_size: Sequence[int] | None) -> None:
        self._dense = _counted(dense_network(model), input_size)
        ranked = [
            (layer._parameters[name], scores)
            for layer in scored_layers(model).values()
            for name, scores in layer.scored().items()
        ]
        self._itemsizes = [parameter.itemsize for parameter, _ in ranked]
        self._ascending = [scores.detach().abs().flatten().sort().values for _, scores in ranked]

    def at(self, capacity: float) -> dict[str, int]:
        """``macs``, ``params`` and ``bytes``; the dense network needs no bit mask."""
        if capacity == 1:
            return self._dense
        found = dict(self._dense)
        for ascending, itemsize in zip(self._ascending, self._itemsizes, strict=True):
            pruned = _pruned(ascending, capacity)
            found["params"] -= pruned
            found["bytes"] += -(-ascending.numel() // 8) - pruned * itemsize
        return found


def _pruned(ascending: Tensor, capacity: float) -> int:
    """How many magnitudes are below the threshold."""
    threshold = ascending[threshold_rank(ascending.numel(), capacity) - 1]
    return int(torch.searchsorted(ascending, threshold))


def _counted(network: nn.Module, input_size: Sequence[int] | None) -> dict[str, int]:
    found = {"params": count_parameters(network), "bytes": count_bytes(network)}
    return {"macs": count_macs(network, input_size), **found} if input_size else found
