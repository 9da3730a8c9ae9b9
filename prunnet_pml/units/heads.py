"""Attention heads: whole heads are units, as channels of different heads share nothing."""

from __future__ import annotations

from typing import Any

from torch import nn

from prunnet_pml.units.groups import Cut, Side, UnitGroup
from prunnet_pml.units.removal import entries
from prunnet_pml.units.traced import Traced


def attention_heads(model: nn.Module, traced: Traced) -> UnitGroup | None:
    """The heads of an attention module, where layers that share channels are one.

    That is: what makes the channels (query, key and value, in one layer or in several) and the one
    layer that reads them stand side by side in a module with an integer ``num_heads``. Whatever of
    its parameters, buffers and integers counts heads or their channels goes with them: a table of
    position biases, say.

    Args:
        model: The plain network that was traced.
        traced: Layers that share channels.

    Returns:
        None if this is no attention, or has one head.
    """
    if not traced.is_attention:
        return None
    makers, readers = traced.names("out"), traced.names("in")
    parents = {name.rpartition(".")[0] for name in (*makers, *readers)}
    if len(readers) != 1 or len(parents) != 1:
        return None
    parent = parents.pop()
    attention: Any = model.get_submodule(parent)
    heads = getattr(attention, "num_heads", None)
    width = entries(model, Cut(readers[0], "in"))
    made = {name: entries(model, Cut(name, "out")) for name in makers}
    if not isinstance(heads, int) or heads < 2 or width == 0 or width % heads:
        return None
    if any(count == 0 or count % width for count in made.values()):  # 0: neither layer nor norm
        return None
    size = width // heads
    reader = Cut(readers[0], "in", size=size)
    cuts = [Cut(name, "out", count // width, size) for name, count in made.items()]
    prefix = f"{parent}." if parent else ""
    for name, tensor in {**attention._parameters, **attention._buffers}.items():
        if tensor is None or not tensor.is_floating_point():
            continue
        counting = [axis for axis in range(tensor.dim()) if tensor.shape[axis] in (heads, width)]
        if counting and counting[0] < 2:
            side: Side = "in" if counting[0] else "out"
            cuts.append(Cut(prefix + name, side, size=tensor.shape[counting[0]] // heads))
    for name, value in vars(attention).items():
        if type(value) is int and value in (heads, width):
            cuts.append(Cut(prefix + name, "number"))
    return UnitGroup(heads, (*cuts, reader), (reader,))
