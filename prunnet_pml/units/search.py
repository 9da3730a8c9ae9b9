"""Finding the hidden units of a network, from the dependency graph of its layers.

Layers that share channels are a group. A group that no addition runs through, made and read by
scored layers alone, is hidden; what additions write to is the residual stream, and stays whole. So
does a width that leads from block to block, where the network has such a stream.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor, nn

from prunnet_pml.units.grouped import join_grouped_convolutions
from prunnet_pml.units.groups import Cut, UnitGroup
from prunnet_pml.units.heads import attention_heads
from prunnet_pml.units.removal import entries
from prunnet_pml.units.traced import Traced, trace
from prunnet_pml.units.trial import groups_that_hold


def find_units(
    model: nn.Module, layers: Collection[nn.Module], images: Tensor
) -> tuple[UnitGroup, ...]:
    """The groups of hidden units in a network.

    Args:
        model: A plain network. It stays as it is.
        layers: Those of its layers that may lose units.
        images: A batch that it takes, to trace the layers with.

    Raises:
        ImportError: If Torch-Pruning is not installed.
        ValueError: If there are no hidden units.
    """
    traced = trace(model, images)
    streams = [found for found in traced if found.is_added_to and found.names("in")]
    candidates = [part for part in traced if _only_of(model, part, layers)]
    heads = [group for part in candidates if (group := attention_heads(model, part))]
    channels = [group for part in candidates if (group := _channels(model, part, streams))]
    found = [*heads, *join_grouped_convolutions(model, channels)]
    groups = groups_that_hold(model, found, images)
    if not groups:
        raise ValueError(
            f"`model` should have hidden units. Found none in {type(model).__name__} among "
            f"{len(layers)} layers: give `granularity` 'weight'."
        )
    return groups


def _only_of(model: nn.Module, part: Traced, layers: Collection[nn.Module]) -> bool:
    """Whether all Conv2d and Linear that share the channels may lose some."""
    members = [model.get_submodule(name) for name, _ in part.axes]
    return all(m in layers for m in members if isinstance(m, nn.Conv2d | nn.Linear))


def _channels(model: nn.Module, part: Traced, streams: Sequence[Traced]) -> UnitGroup | None:
    """Channels that are hidden in a block, each a unit."""
    if part.is_added_to or part.is_attention or part.parameters:
        return None
    if part.width < 2 or not part.names("in"):
        return None
    if not all(
        found == entries(model, Cut(name, side)) and found % part.width == 0
        for (name, side), found in part.axes.items()
    ):
        return None
    if _leads_through_blocks(part, streams):
        return None
    cuts = [Cut(name, side, size=found // part.width) for (name, side), found in part.axes.items()]
    reading = [cut for cut in cuts if cut.side == "in"]
    reading.sort(key=lambda cut: _weight_count(model, cut.name), reverse=True)
    return UnitGroup(part.width, tuple(cuts), tuple(reading))


def _leads_through_blocks(part: Traced, streams: Sequence[Traced]) -> bool:
    """Whether the channels lead from one block to another of a network with a residual stream.

    The block of a group is the innermost module that holds all of it. One that holds a whole stream
    is no block but the trunk, unless the layers stand in it side by side.
    """
    block = _innermost([name for name, _ in part.axes])
    side_by_side = all(name.rpartition(".")[0] == block for name, _ in part.axes)
    inside = f"{block}." if block else ""
    return not side_by_side and any(
        all(name.startswith(inside) for name, _ in stream.axes) for stream in streams
    )


def _innermost(names: Sequence[str]) -> str:
    """The name of the innermost module that holds all these."""
    paths = [name.split(".")[:-1] for name in names]
    common = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return ".".join(common)


def _weight_count(model: nn.Module, name: str) -> int:
    weight: Any = model.get_submodule(name)._parameters["weight"]
    return int(weight.numel())
