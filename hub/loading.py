"""``from_pretrained``: a checkpoint as a network, whole or at a capacity."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prunnet_pml.hub.architecture import build, check_tensors
from prunnet_pml.hub.assembling import Assembly
from prunnet_pml.hub.downloading import download
from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.fields import read_json
from prunnet_pml.hub.layout import CONFIG, band_file, scores_file
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.scored_bands import OpenBand
from prunnet_pml.hub.stored_file import opened
from prunnet_pml.hub.unit_axes import KeptEntries
from prunnet_pml.interpolation_warning import warn_of_interpolation
from prunnet_pml.layers import SCORES
from prunnet_pml.masks import check_capacity
from prunnet_pml.network import is_prunable, make_prunable
from prunnet_pml.norms import CAPACITIES, capacity_units
from prunnet_pml.units.removal import check_units, remove_units


def from_pretrained(
    source: str | os.PathLike[str],
    capacity: float | None = None,
    *,
    revision: str | None = None,
    model: nn.Module | None = None,
) -> nn.Module:
    """Loads what ``save_pretrained`` saved.

    Only the files that ``Manifest.files_for(capacity)`` names are read, and checked against their
    SHA-256 first. No pickle is opened.

    Args:
        source: A folder, a name in the catalogue, or a repository of the Hub, from which
            :func:`prunnet_pml.hub.download` fetches what is not in the cache. Private ones need
            ``hf auth login`` or ``HF_TOKEN``.
        capacity: In (0, 1] for the plain subnetwork, as ``prune`` gives it. None for the prunable
            network with its scores, to train on or to prune.
        revision: A branch, tag or commit of the repository.
        model: The network, plain, for a checkpoint of a hand-written one. It is filled in place.

    Returns:
        The network in eval mode, float32 as it was built, at the values stored.

    Raises:
        FileNotFoundError: If the folder lacks a file that the capacity needs.
        huggingface_hub.errors.HfHubHTTPError: As ``download``, with what to do.
        CheckpointError: If a file is damaged, or another than the manifest says. A ``model`` that
            was given may be filled in part then.
        ValueError: If ``capacity`` is not in (0, 1], needs scores that were not saved, or ``model``
            is prunable already.
    """
    if capacity is not None:
        capacity = check_capacity(capacity)
    if model is not None and is_prunable(model):
        raise ValueError("`model` should be a plain network: make_prunable is called on it here.")
    folder = download(source, capacity, revision=revision)
    manifest = Manifest.read(folder)
    with _open_bands(folder, manifest, capacity) as bands:
        assembly = Assembly(manifest, bands, 1.0 if capacity is None else capacity)
        assembly.check()
        where = str(folder / CONFIG)
        if model is None:
            model = build(read_json(folder / CONFIG), manifest.tensors, where)
        check_tensors(model, manifest.tensors, where)
        try:
            if capacity is not None:
                _cut(model, assembly.units, capacity)
            _fill(model, assembly)
            if capacity is None:
                _add_scores(model, assembly)
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{where} should describe a prunable network: {error}") from error
    if capacity is not None:
        _warn_of_norms(manifest, capacity)
    return model.eval()


@contextmanager
def _open_bands(
    folder: Path, manifest: Manifest, capacity: float | None
) -> Iterator[list[OpenBand]]:
    needed = manifest.files_for(capacity)
    with ExitStack() as stack:
        files = {name: stack.enter_context(opened(folder, name, manifest)) for name in needed}
        yield [
            OpenBand(band, files[band_file(band)], files.get(scores_file(band)))
            for band in manifest.bands_for(capacity)
        ]


def _cut(model: nn.Module, units: KeptEntries, capacity: float) -> None:
    """Cuts the units out that a capacity does not keep."""
    check_units(model, units.groups, "units")
    for index, group in enumerate(units.groups):
        remove_units(model, group, units.units(index, capacity).nonzero()[0].tolist())


@torch.no_grad()
def _fill(model: nn.Module, assembly: Assembly) -> None:
    """Copies the tensors in, one at a time: no second network is ever in memory."""
    own = model.state_dict()
    for name, value in assembly.tensors():
        if own[name].shape != value.shape:
            raise ValueError(f"`{name}` is {tuple(own[name].shape)} with its units cut.")
        if not own[name].is_meta:
            own[name].copy_(value)
            continue
        holder_name, _, leaf = name.rpartition(".")
        holder, value = model.get_submodule(holder_name), value.to(own[name].dtype)
        if leaf in holder._buffers:
            holder._buffers[leaf] = value
        else:
            setattr(holder, leaf, nn.Parameter(value, holder.get_parameter(leaf).requires_grad))


def _add_scores(model: nn.Module, assembly: Assembly) -> None:
    """Makes the dense network prunable, with the scores and norm statistics of the checkpoint."""
    manifest = assembly.manifest
    norms = [name for name, record in manifest.tensors.items() if record.kind == "norm"]
    make_prunable(
        model, manifest.trained_capacities, space_id=manifest.space_id, **what_to_score(manifest)
    )
    state = model.state_dict()  # with the space id, beside its keys
    state.update(assembly.scores())
    owners = manifest.norm_capacities[-2::-1]
    for name in norms:
        module, dot, statistic = name.rpartition(".")
        sets = assembly.norm_sets(name)
        state[f"{module}{dot}capacity_{statistic}"] = torch.stack([sets[c] for c in owners])
        state[f"{module}{dot}{CAPACITIES}"] = capacity_units(owners)
    model.load_state_dict(state)


def what_to_score(manifest: Manifest) -> dict[str, Any]:
    """The arguments by which ``make_prunable`` scores what a checkpoint has scores of."""
    if manifest.units:
        return {"granularity": manifest.granularity, "units": manifest.units}
    scored = {name: r.scores for name, r in manifest.tensors.items() if r.scores}
    return {
        "filter_fn": lambda _, name: f"{name}.weight".lstrip(".") in scored,
        "score_depthwise": True,
        "score_bias": any(name.endswith(SCORES["bias"]) for name in scored.values()),
    }


def _warn_of_norms(manifest: Manifest, capacity: float) -> None:
    warn_of_interpolation(
        [capacity],
        manifest.norm_owners,
        "Load the prunable network (capacity None) and prune it with `calibration`.",
    )
