"""The catalogue: checkpoints that come with the package, by name, with what they reach."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CATALOGUE = Path(__file__).with_name("catalogue.json")
"""The data file, which ``benchmarks/train_checkpoints.py`` writes."""

CHECKPOINTS = Path(__file__).with_name("checkpoints")

LICENCE = "LICENSE"
"""In the folder of a checkpoint that started from somebody else's weights: their licence."""

_BY_CAPACITY = ("sizes", "recall_at_1")


@dataclass(frozen=True)
class CatalogueEntry:
    """A checkpoint that comes with the package.

    Attributes:
        name: What ``from_pretrained``, ``timm.create_model`` and the command line know it by.
        backbone: timm's name of the network.
        parameters: How many it has, as a plain network.
        data: What it was trained on; measured on classes that it has never seen.
        licence: The Hub's identifier.
        capacities: Those of its bands, ascending; the last one is 1.
        sizes: Bytes that each of them needs.
        prunable_size: Bytes that the prunable network needs, with its scores.
        recall_at_1: Of queries at each of them, in the dense network's gallery, in [0, 1].
        recipe: How it was trained.
    """

    name: str
    backbone: str
    parameters: int
    data: str
    licence: str
    capacities: tuple[float, ...]
    sizes: Mapping[float, int]
    prunable_size: int
    recall_at_1: Mapping[float, float]
    recipe: Mapping[str, object]

    @property
    def folder(self) -> Path:
        """Where it lies on this machine; read it, don't write to it."""
        return CHECKPOINTS / self.name

    @staticmethod
    def parse(found: Mapping[str, Any]) -> CatalogueEntry:
        """The entry in the data file."""
        by_capacity: dict[str, Any] = {
            key: {float(c): value for c, value in found[key].items()} for key in _BY_CAPACITY
        }
        capacities = tuple(by_capacity["sizes"])
        return CatalogueEntry(**{**found, **by_capacity, "capacities": capacities})

    def to_json(self) -> dict[str, Any]:
        """What :meth:`parse` parses; capacities are the keys of the sizes."""
        by_capacity = {
            key: {f"{c:g}": value for c, value in getattr(self, key).items()}
            for key in _BY_CAPACITY
        }
        found: dict[str, Any] = {**vars(self), **by_capacity, "recipe": dict(self.recipe)}
        del found["capacities"]
        return found


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every checkpoint that comes with the package.

    >>> from prunnet_pml.hub import catalogue, from_pretrained
    >>> for entry in catalogue():
    ...     student = from_pretrained(entry.name, min(entry.capacities))
    """
    found = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return tuple(map(CatalogueEntry.parse, found))


def find_entry(name: str) -> CatalogueEntry | None:
    """The entry of that name, None if there is none."""
    return next((entry for entry in catalogue() if entry.name == name), None)


def entry_of(name: str) -> CatalogueEntry:
    """The entry of that name.

    Raises:
        ValueError: If there is none; says which there are.
    """
    if (found := find_entry(name)) is not None:
        return found
    names = [entry.name for entry in catalogue()]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."
    raise ValueError(f"`name` should be one of the catalogue. Found {name!r}: {hint}")
