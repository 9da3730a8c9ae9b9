"""Which file holds what: names of files, names of tensors inside, and who holds which norms."""

from __future__ import annotations

from collections.abc import Sequence

from prunnet_pml.layers import SCORES
from prunnet_pml.units.groups import UnitGroup

CONFIG = "config.json"
DENSE = "model.safetensors"
FOLDER = "prunnet"

FORMATS = {1: "weight", 2: "channel"}
"""What readers look at first: the granularity. Raised when old readers would misread."""

ROLE = "prunnet_file"
"""Key of a file's metadata that says which file it is, so that two swapped ones are told apart."""


def band_file(capacity: float) -> str:
    """What a capacity adds over the band below: ``prunnet/band-020.safetensors``."""
    return f"{FOLDER}/band-{_percent(capacity)}.safetensors"


def scores_file(capacity: float) -> str:
    """The scores of what a band holds: ``prunnet/scores-020.safetensors``."""
    return f"{FOLDER}/scores-{_percent(capacity)}.safetensors"


def part(name: str, kind: str) -> str:
    """A part of a scored or cut tensor in a file: ``conv1.weight:mask``.

    In bands ``mask``, ``lower`` and ``upper``; beside them ``scores``, or ``codes`` and ``levels``.
    """
    return f"{name}:{kind}"


def unit_scores(group: UnitGroup) -> str:
    """The scores of a group of units in the first band; so are they called in the network."""
    return f"{group.readers[0].name}.{SCORES['weight']}"


def statistic(name: str, capacity: float) -> str:
    """A norm statistic of a capacity in a band: ``bn1.running_mean@0.2``."""
    return f"{name}@{capacity:.7g}"


def norms_of_band(
    band: float, bands: Sequence[float], norm_capacities: Sequence[float]
) -> list[float]:
    """The capacities whose norm statistics come with a band.

    With the bands up to ``band`` there is all that the statistics at any capacity up to it are
    read or interpolated from.

    Args:
        band: One of ``bands``.
        bands: The capacities of all bands.
        norm_capacities: The capacities that own a set of statistics, 1 among them.
    """
    lower = max((c for c in bands if c < band), default=0.0)
    last = min(c for c in norm_capacities if c >= band)
    before = min((c for c in norm_capacities if c >= lower), default=0.0) if lower else 0.0
    return [c for c in sorted(norm_capacities) if before < c <= last]


def _percent(capacity: float) -> str:
    """``020`` for 0.2, ``012_5`` for 0.125: names in the order of capacities."""
    whole, _, rest = f"{100 * capacity:.5f}".partition(".")
    return f"{whole:0>3}_{rest}".rstrip("0").rstrip("_") if rest.strip("0") else f"{whole:0>3}"
