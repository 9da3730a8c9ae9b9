"""Which units a subnetwork keeps, as data for a JSON file, and a smaller network from that.

A network pruned at granularity "channel" has other shapes than its class says. Beside its state
dict belongs ``kept_units``; a plain network cut accordingly takes that state dict. Nothing pickled
is involved, nor Torch-Pruning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

from torch import nn

from prunnet_pml.class_exchange import Exchanged
from prunnet_pml.given_network import check_network, unwrapped
from prunnet_pml.masks import check_capacity
from prunnet_pml.units.groups import Cut, Side, UnitGroup
from prunnet_pml.units.layers import UnitLayer
from prunnet_pml.units.removal import check_units, remove_units
from prunnet_pml.units.scoring import hidden_units


def kept_units(model: nn.Module, capacity: float) -> dict[str, Any]:
    """The hidden units that a subnetwork keeps.

    Args:
        model: A prunable network of granularity "channel", or a bigger module with one inside.
        capacity: In (0, 1].

    Returns:
        ``{"groups": [{"units": ..., "kept": [...], "cuts": [{"name", "side", "parts", "size"}]}]}``
        of plain numbers, texts and lists, for :func:`apply_kept_units`.

    Raises:
        ValueError: If ``capacity`` is out of range, or ``model`` has no hidden units with scores.
    """
    capacity, model = check_capacity(capacity), unwrapped(model)
    groups = []
    for group in hidden_units(model).groups:
        layer = cast("UnitLayer", model.get_submodule(group.readers[0].name))
        groups.append(
            {
                "units": group.units,
                "kept": layer.kept_at(capacity),
                "cuts": [asdict(cut) for cut in group.cuts],
            }
        )
    return {"groups": groups}


def apply_kept_units(network: nn.Module, kept: Mapping[str, Any]) -> nn.Module:
    """Cuts a plain network to the shapes of a pruned one, in place.

    So that a pruned network's state dict fits it::

        network = apply_kept_units(timm.create_model("resnet18", num_classes=128), kept)
        network.load_state_dict(load_file("pruned.safetensors"))

    Args:
        network: A plain network as it was built, with all its units.
        kept: What :func:`kept_units` returned; from a JSON file, say.

    Returns:
        ``network`` itself.

    Raises:
        ValueError: If ``kept`` is of another network or no such data; it is then as it was.
    """
    check_network(network, "network")
    if any(isinstance(module, Exchanged) for module in network.modules()):
        raise ValueError("`network` should be plain. Found a prunable one: prune it instead.")
    try:
        groups = [_read(group) for group in kept["groups"]]
        places = [(cut.name, cut.side) for group, _ in groups for cut in group.cuts]
        if len(set(places)) < len(places):
            raise ValueError("units that lie in one place twice")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"`kept` should be what kept_units returns. Found {error!r}.") from error
    check_units(network, [group for group, _ in groups], "kept")
    for group, units in groups:
        remove_units(network, group, units)
    return network


def _read(data: Mapping[str, Any]) -> tuple[UnitGroup, list[int]]:
    """A group and the units kept of it; raises ValueError if these are no units of it."""
    cuts = tuple(Cut(**cut) for cut in data["cuts"])
    for cut in cuts:
        if not isinstance(cut.name, str) or cut.side not in get_args(Side) or not cut.size:
            raise ValueError(f"{cut}")
    units, kept = data["units"], list(data["kept"])
    numbers = [units, *kept, *(number for cut in cuts for number in (cut.parts, cut.size))]
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"{numbers} where whole numbers belong")
    if not kept or kept != sorted(set(kept)) or not set(kept) <= set(range(units)):
        raise ValueError(f"kept {kept} of {units} units")
    return UnitGroup(units, cuts, readers=()), kept
