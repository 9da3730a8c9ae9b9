"""``save_pretrained``: a prunable network as a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from prunnet_pml.evaluation.writing import replacing
from prunnet_pml.given_network import unwrapped
from prunnet_pml.hub.anatomy import Anatomy, dissect
from prunnet_pml.hub.architecture import timm_config
from prunnet_pml.hub.bands import Contents, cut
from prunnet_pml.hub.layout import CONFIG, DENSE, FOLDER, ROLE
from prunnet_pml.hub.manifest import BLOCK, PRECISIONS, Manifest
from prunnet_pml.hub.records import DTYPES, FileRecord, Kind, TensorRecord, sha256
from prunnet_pml.hub.replacing import replacing_folder
from prunnet_pml.hub.stable_header import sort_metadata
from prunnet_pml.masks import check_capacities
from prunnet_pml.network import trained_capacities
from prunnet_pml.space import SPACE_ID, space_id


def save_pretrained(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    capacities: Iterable[float] | None = None,
    precision: str = "float32",
    scores: str | None = "float32",
    dense: bool = True,
) -> Manifest:
    """Saves a prunable network so that each device loads, or downloads, its share.

    The folder is a Hub repository: ``config.json`` and ``model.safetensors`` are the dense network
    as stock timm loads it; ``prunnet/`` holds it cut into bands, one a capacity, each with what it
    adds over the one below. ``hub/FORMAT.md`` describes every byte. It is written whole or not at
    all: a checkpoint that lies there already is replaced at the end.

    Args:
        model: A prunable network, or one in DDP or ``torch.compile``.
        folder: Where to. New, empty, or a checkpoint to replace.
        capacities: Those of the bands, by default the trained ones. 1 is always added.
        precision: What weights are stored as: ``"float32"``, ``"float16"`` or ``"bfloat16"``. Norm
            statistics and other buffers are stored as they are.
        scores: What scores are stored as: ``"float32"``, ``"uint8"`` (up to 128 levels a band and
            tensor; the bands stay exact), or None. Capacities between the bands need them, and
            training on. Of granularity "channel" they are few, always there and stored as float32.
        dense: Whether to write ``model.safetensors``. Without it the folder is about half as
            large, and only prunnet_pml loads it.

    Returns:
        What was saved.

    Raises:
        ValueError: If an argument is out of its range, ``model`` is not prunable, holds numbers
            that are not finite (at the precision chosen) or are none of the format, ``folder``
            holds something else, or is a mount point, or the current directory or around it.
        OSError: If the disk is full, say. What was there before is still there.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` should be one of {PRECISIONS}. Found {precision!r}.")
    if scores not in ("float32", "uint8", None):
        raise ValueError(f"`scores` should be 'float32', 'uint8' or None. Found {scores!r}.")
    model = unwrapped(model)
    trained = trained_capacities(model)
    bands = check_capacities(trained if capacities is None else capacities, dense=True)
    anatomy = _rounded(dissect(model), DTYPES[precision])
    if anatomy.units:
        scores = "float32"
    space = space_id(model)
    manifest = Manifest(
        space,
        precision,
        scores,
        tuple(sorted({*bands, 1.0})),
        trained[::-1],
        anatomy.norm_capacities,
        {name: _record(anatomy, name) for name in anatomy.plain},
        {},
        anatomy.units,
    )
    shapes = {name: value.shape for name, value in anatomy.plain.items()}
    with replacing_folder(Path(folder)) as temporary:
        (temporary / FOLDER).mkdir()
        config = timm_config(model, shapes, temporary / CONFIG)
        files = {}
        for name, contents in cut(anatomy, manifest.capacities, scores):
            files[name] = write_file(temporary, name, contents, space)
        if dense:
            files[DENSE] = write_file(temporary, DENSE, anatomy.plain, space)
        manifest = replace(manifest, files=files)
        write_config({**config, BLOCK: manifest.to_json()}, temporary / CONFIG)
    return manifest


def _rounded(anatomy: Anatomy, dtype: torch.dtype) -> Anatomy:
    plain = dict(anatomy.plain)
    for name in anatomy.parameters & plain.keys():
        if plain[name].is_floating_point():
            plain[name] = plain[name].to(dtype)
            if not torch.isfinite(plain[name]).all():
                raise ValueError(
                    f"`precision` should be one that holds `{name}`. Found {dtype}, in which it "
                    "overflows: choose bfloat16 or float32."
                )
    return replace(anatomy, plain=plain)


def _record(anatomy: Anatomy, name: str) -> TensorRecord:
    kind: Kind = "scored" if name in anatomy.scores else "plain"
    if name in anatomy.kept.axes:
        kind = "cut"
    if name in anatomy.norms:
        kind = "norm"
    value = anatomy.plain[name]
    return TensorRecord(kind, tuple(value.shape), value.dtype, anatomy.score_names.get(name))


def write_file(folder: Path, name: str, contents: Contents, space: str) -> FileRecord:
    """Writes tensors as safetensors, with the space id and the file's own name beside them."""
    file = folder / name
    metadata = {"format": "pt", SPACE_ID: space, ROLE: name}
    tensors = _apart(contents)
    try:
        with replacing(file) as temporary:  # safetensors' files are for their owner alone
            save_file(tensors, temporary, metadata)
            sort_metadata(temporary)
    except SafetensorError as error:  # what it makes of the system's error
        raise OSError(f"{name} could not be written: {error}") from error
    return FileRecord(file.stat().st_size, sha256(file))


def _apart(contents: Contents) -> Contents:
    """The tensors, contiguous; those in the memory of another one, which is no file's, copied."""
    found: Contents = {}
    memory = set()
    for name, value in contents.items():
        value = value.contiguous()
        address = value.untyped_storage().data_ptr()
        found[name] = value.clone() if address in memory else value
        memory.add(address)
    return found


def write_config(config: dict[str, Any], file: Path) -> None:
    """One line a key: the manifest has a line per tensor otherwise, and more."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in config.items()]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
