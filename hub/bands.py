"""A prunable network cut into bands: what every capacity adds over the one below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from prunnet_pml.hub.anatomy import Anatomy
from prunnet_pml.hub.coding import pack_mask, quantise, split_values
from prunnet_pml.hub.layout import band_file, norms_of_band, part, scores_file, statistic
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
    found = {name: thresholds(value, bands) for name, value in anatomy.scores.items()}
    left = {
        name: torch.ones(value.numel(), dtype=torch.bool) for name, value in anatomy.scores.items()
    }
    for index, band in enumerate(bands):
        contents = _unscored(anatomy) if index == 0 else {}
        contents.update(_norms(anatomy, bands, band))
        of_scores: Contents = {}
        for name, value in anatomy.scores.items():
            kept = mask(value, found[name][index]).flatten().bool()
            member = kept & left[name]
            contents.update(_scored(anatomy.plain[name], name, member, left[name], band))
            of_scores.update(_stored_scores(value.flatten()[member], name, scores))
            left[name] &= ~member
        yield band_file(band), contents
        if scores is not None:
            yield scores_file(band), of_scores


def _unscored(anatomy: Anatomy) -> Contents:
    others = anatomy.scores.keys() | anatomy.norms.keys()
    return {name: value for name, value in anatomy.plain.items() if name not in others}


def _norms(anatomy: Anatomy, bands: Sequence[float], band: float) -> Contents:
    return {
        statistic(name, capacity): sets[capacity]
        for capacity in norms_of_band(band, bands, anatomy.norm_capacities)
        for name, sets in anatomy.norms.items()
    }


def _scored(value: Tensor, name: str, member: Tensor, left: Tensor, band: float) -> Contents:
    lower, upper = split_values(value.flatten()[member])
    contents = {part(name, "lower"): lower, part(name, "upper"): upper}
    if band < 1:  # the last band is all that is left
        contents[part(name, "mask")] = pack_mask(member[left].numpy())
    return {key: torch.from_numpy(array.copy()) for key, array in contents.items()}


def _stored_scores(scores: Tensor, name: str, stored: str | None) -> Contents:
    parts = quantise(scores) if stored == "uint8" else {"scores": scores}
    return {part(name, kind): value for kind, value in parts.items()}
