"""A prunable network cut into bands: what every capacity adds over the one below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from prunnet_pml.hub.anatomy import Anatomy
from prunnet_pml.hub.coding import pack_mask, quantise, split_values
from prunnet_pml.hub.layout import (
    band_file,
    norms_of_band,
    part,
    scores_file,
    statistic,
    unit_scores,
)
from prunnet_pml.hub.unit_axes import KeptEntries
from prunnet_pml.masks import mask, thresholds

Contents = dict[str, Tensor]


def cut(
    anatomy: Anatomy, bands: Sequence[float], scores: str | None
) -> Iterator[tuple[str, Contents]]:
    """The files of all bands, one after the other.

    Args:
        anatomy: The network; its ``plain`` tensors are stored as they are.
        bands: The capacities of the bands, ascending; the last one is 1.
        scores: ``"float32"``, ``"uint8"``, or None to leave the scores out.

    Yields:
        The name of a file and the tensors in it.
    """
    units = anatomy.kept
    found = {name: thresholds(value, bands) for name, value in anatomy.scores.items()}
    left = {
        name: torch.ones(value.numel(), dtype=torch.bool) for name, value in anatomy.scores.items()
    }
    below = 0.0
    for index, band in enumerate(bands):
        contents = {} if below else _unscored(anatomy)
        contents.update(_norms(anatomy, bands, band, below))
        for name in units.axes:
            if name not in anatomy.norms:
                added = _added(units, name, anatomy.plain[name], band, below)
                contents.update(_values(added, name))
        of_scores: Contents = {}
        for name, value in anatomy.scores.items():
            kept = mask(value, found[name][index]).flatten().bool()
            member = kept & left[name]
            contents.update(_values(anatomy.plain[name].flatten()[member], name))
            if band < 1:  # the last band is all that is left
                packed = pack_mask(member[left[name]].numpy())
                contents[part(name, "mask")] = torch.from_numpy(packed)
            of_scores.update(_stored_scores(value.flatten()[member], name, scores))
            left[name] &= ~member
        yield band_file(band), contents
        if scores is not None and not units.groups:
            yield scores_file(band), of_scores
        below = band


def _unscored(anatomy: Anatomy) -> Contents:
    others = anatomy.scores.keys() | anatomy.norms.keys() | anatomy.kept.axes.keys()
    plain = {name: value for name, value in anatomy.plain.items() if name not in others}
    units = anatomy.kept
    return plain | {
        unit_scores(group): scores for group, scores in zip(units.groups, units.scores, strict=True)
    }


def _norms(anatomy: Anatomy, bands: Sequence[float], band: float, below: float) -> Contents:
    """Statistics that no band below has; of those that units lie in, what these add to all sets."""
    contents, units = {}, anatomy.kept
    for first in bands[: bands.index(band) + 1]:
        for owner in norms_of_band(first, bands, anatomy.norm_capacities):
            for name, sets in anatomy.norms.items():
                if name in units.axes:
                    since = below if first < band else 0.0
                    added = _added(units, name, sets[owner], band, since)
                    contents[statistic(name, owner)] = added
                elif first == band:
                    contents[statistic(name, owner)] = sets[owner]
    return contents


def _added(units: KeptEntries, name: str, value: Tensor, band: float, below: float) -> Tensor:
    """What a band adds over the one below to a tensor that units lie in, row by row."""
    shape = tuple(value.shape)
    added = units.added(name, shape, band, below)
    return units.selected(name, value, band, 1.0).masked_select(added)


def _values(values: Tensor, name: str) -> Contents:
    lower, upper = split_values(values)
    contents = {part(name, "lower"): lower, part(name, "upper"): upper}
    return {key: torch.from_numpy(array.copy()) for key, array in contents.items()}


def _stored_scores(scores: Tensor, name: str, stored: str | None) -> Contents:
    parts = quantise(scores) if stored == "uint8" else {"scores": scores}
    return {part(name, kind): value for kind, value in parts.items()}
