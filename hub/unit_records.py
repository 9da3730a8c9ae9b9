"""What a manifest says of hidden units: which there are, and which layers could have had some."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.fields import Fields
from prunnet_pml.units.groups import Cut, HiddenUnits, UnitGroup


def parse_units(found: Fields) -> HiddenUnits:
    """The hidden units in a manifest; raises CheckpointError if these are none."""
    groups = tuple(_parse_group(group) for group in found.list_of_objects("groups"))
    if not groups:
        raise CheckpointError(f"{found.where} should be groups of units. Found none.")
    return HiddenUnits(groups, tuple(found.texts("layers")))


def units_to_json(units: HiddenUnits) -> dict[str, Any]:
    """What :func:`parse_units` parses."""
    groups = [
        {
            "units": group.units,
            "multiple": group.multiple,
            "readers": [group.cuts.index(reader) for reader in group.readers],
            "cuts": [asdict(cut) for cut in group.cuts],
        }
        for group in units.groups
    ]
    return {"groups": groups, "layers": [*units.layers]}


def _parse_group(found: Fields) -> UnitGroup:
    cuts = tuple(
        Cut(
            cut.text("name"),
            cut.one_of("side", ("out", "in", "number")),
            cut.positive("parts"),
            cut.positive("size"),
        )
        for cut in found.list_of_objects("cuts")
    )
    chosen = found.shape("readers")
    readers = tuple(cuts[index] for index in chosen if index < len(cuts))
    if not readers or len({*chosen}) < len(chosen) or len(readers) < len(chosen):
        raise CheckpointError(
            f"{found.where}: `readers` should be among {len(cuts)} cuts. Found {chosen}."
        )
    if any(reader.side != "in" or reader.parts != 1 for reader in readers):
        raise CheckpointError(f"{found.where}: `readers` should read every unit once.")
    return UnitGroup(found.positive("units"), cuts, readers, found.positive("multiple"))
