"""The space of a file: a checkpoint, or a network that was exported for a device."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from prunnet_pml.given_network import shown
from prunnet_pml.space import SPACE_ID

_Reader = Callable[[Path], Iterable[Mapping[str, Any]]]

PROGRAM_METADATA = "prunnet.json"
"""The extra file inside of an exported program that holds its metadata."""


def read_space_id(path: str | os.PathLike[str]) -> str:
    """The space id of a file on disk.

    Args:
        path: What ``torch.save`` wrote of a state dict, or of a mapping that holds some; a file of
            safetensors, ``.safetensors``; or what ``export_onnx`` and ``export_program`` wrote,
            ``.onnx`` and ``.pt2``. It is read without running any pickled code.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If ``path`` is an ONNX file and ``onnx`` is not installed.
        ValueError: If it is none of these, or holds no id or several.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"`path` should be the path of a file. Found {shown(path)}.")
    if not (file := Path(path)).is_file():
        raise FileNotFoundError(f"`path` should be a checkpoint. Found no file {file}.")
    read: _Reader = _READERS.get(file.suffix, _of_torch)
    found = {metadata[SPACE_ID] for metadata in read(file) if SPACE_ID in metadata}
    if len(found) != 1:
        raise ValueError(
            f"`path` should be a checkpoint with one space id. Found {len(found)} in {file}. (A "
            "pruned network is plain: save it as safetensors with the id in the metadata.)"
        )
    return str(found.pop())


def _of_safetensors(file: Path) -> Iterable[Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            return [opened.metadata() or {}]
    except SafetensorError as error:
        raise ValueError(f"`path` should be a safetensors file. Found {file}: {error}.") from error


def _of_torch(file: Path) -> Iterable[Mapping[str, Any]]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # there is nothing that garbage can't make the unpickler raise
        raise ValueError(
            "`path` should be a state dict that torch.save wrote, or a file of safetensors, .onnx "
            f"or .pt2. Found {file}, which is none of them."
        ) from error
    parts = [content, *content.values()] if isinstance(content, Mapping) else []
    return [metadata for part in parts for metadata in getattr(part, "_metadata", {}).values()]


def _of_onnx(file: Path) -> Iterable[Mapping[str, str]]:
    try:
        import onnx
    except ImportError as error:
        raise ImportError("Reading an ONNX file needs: pip install 'prunnet-pml[onnx]'") from error
    try:
        model = onnx.load(file, load_external_data=False)
    except Exception as error:  # protobuf's own, of the implementation that is installed
        raise ValueError(f"`path` should be an ONNX file. Found {file}: {error}.") from error
    return [{entry.key: entry.value for entry in model.metadata_props}]


def _of_program(file: Path) -> Iterable[Mapping[str, Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if n.endswith(f"/extra/{PROGRAM_METADATA}")]
            return [json.loads(archive.read(name)) for name in names]
    except (zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"`path` should be an exported program. Found {file}: {error}.") from error


_READERS: dict[str, _Reader] = {
    ".safetensors": _of_safetensors,
    ".onnx": _of_onnx,
    ".pt2": _of_program,
}
"""By suffix; every other file is torch.save's."""
