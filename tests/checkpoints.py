"""A small checkpoint that tests damage, and how to seal it again after that."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import prunnet_pml as prunnet
from prunnet_pml.hub import Manifest, save_pretrained


def save_small(folder: Path) -> None:
    """A prunable timm network of 20 thousand parameters, with two bands below the dense one."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=4, layers=(1, 1, 1, 1))
    model = prunnet.make_prunable(network, (0.2, 0.5))
    save_pretrained(model, folder, scores="uint8")


def save_small_units(folder: Path) -> None:
    """The same network, of granularity "channel"."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=4, layers=(1, 1, 1, 1))
    model = prunnet.make_prunable(network, (0.2, 0.5), granularity="channel")
    save_pretrained(model, folder)


def rewrite(folder: Path, name: str, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Changes the tensors of a file, as an author would who then writes the right hash down."""
    file = folder / name
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = {key: value.clone() for key, value in load_file(file).items()}
    change(tensors)
    save_file(tensors, file, metadata)
    seal(folder)


def change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes ``config.json``, and makes its checksum right."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    change(config)
    if isinstance(config.get("prunnet"), dict):
        config["prunnet"] = checked(config["prunnet"])
    file.write_text(json.dumps(config))


def seal(folder: Path) -> None:
    """Makes sizes and hashes in the manifest those of the files."""

    def renew(config: dict[str, Any]) -> None:
        for name, record in config["prunnet"]["files"].items():
            content = (folder / name).read_bytes()
            record.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    change_config(folder, renew)


def checked(block: dict[str, Any]) -> dict[str, Any]:
    """The block with a checksum, as FORMAT.md describes it."""
    others = {key: value for key, value in block.items() if key != "checksum"}
    text = json.dumps(others, sort_keys=True, separators=(",", ":"))
    return {**others, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def copy_of(folder: Path, target: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(folder, target)
    return target


def largest_scored(folder: Path) -> str:
    """The name of the largest scored tensor."""
    tensors = Manifest.read(folder).tensors
    scored = {name: record for name, record in tensors.items() if record.kind == "scored"}
    return max(scored, key=lambda name: torch.Size(scored[name].shape).numel())
