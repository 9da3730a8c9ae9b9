"""The checkpoints of the catalogue by timm's names: ``create_model("prunnet_resnet18.glyphs")``.

Their tags stand beside timm's own, and are loaded from the package, so without a network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import timm
from timm.models import PretrainedCfg, split_model_name_tag
from torch import nn

from prunnet_pml.hub import CatalogueEntry, Manifest, catalogue, from_pretrained
from prunnet_pml.hub.architecture import build
from prunnet_pml.hub.catalogue import find_entry
from prunnet_pml.hub.fields import read_json
from prunnet_pml.hub.layout import CONFIG
from prunnet_pml.hub.loading import what_to_score
from prunnet_pml.network import Granularity, make_prunable, trained_capacities
from prunnet_pml.pruning import prune
from prunnet_pml.space import set_space_id

_FIELDS = {field.name for field in dataclasses.fields(PretrainedCfg)}


def bundled_cfgs() -> dict[str, PretrainedCfg]:
    """What timm lists the checkpoints by."""
    found = {}
    for entry in catalogue():
        cfg = read_json(entry.folder / CONFIG)["pretrained_cfg"]
        known = {key: value for key, value in cfg.items() if key in _FIELDS}
        known.update(file=str(entry.folder / CONFIG), license=entry.licence)
        found[entry.name] = PretrainedCfg(**known)
    return found


def bundled_tags(architecture: str) -> list[str]:
    """The tags that the catalogue has for timm's name of a network."""
    entries = (entry for entry in catalogue() if entry.backbone == architecture)
    return [split_model_name_tag(entry.name)[1] for entry in entries]


def bundled_entry(name: str, pretrained_cfg: object, prefix: str) -> CatalogueEntry | None:
    """The entry that timm's name with a tag, or a ``pretrained_cfg``, stands for, if any."""
    architecture, tag = split_model_name_tag(name)
    if isinstance(pretrained_cfg, Mapping):
        tag = pretrained_cfg.get("tag", "")
    elif isinstance(pretrained_cfg, PretrainedCfg):
        tag = pretrained_cfg.tag or ""
    elif isinstance(pretrained_cfg, str) and pretrained_cfg:
        tag = pretrained_cfg
    return find_entry(f"{prefix}{architecture}.{tag}")


def untrained(entry: CatalogueEntry, arguments: Mapping[str, Any]) -> nn.Module:
    """The plain network of an entry, with timm's initial weights."""
    config = _config(entry, arguments)
    network: nn.Module = timm.create_model(
        entry.backbone, pretrained_cfg=config["pretrained_cfg"], **config["model_args"]
    )
    return network


def load_bundled(
    entry: CatalogueEntry,
    capacities: tuple[float, ...],
    granularity: Granularity,
    arguments: Mapping[str, Any],
) -> nn.Module:
    """The prunable network of an entry as it was trained, to train on at ``capacities``.

    Another ``num_classes`` than the checkpoint's puts a new head on it, and so begins a new space.

    Raises:
        CheckpointError: If ``arguments`` make another network than the one that was trained.
        ValueError: If it was trained at another granularity.
    """
    manifest = Manifest.read(entry.folder)
    if granularity != manifest.granularity:
        raise ValueError(
            f"`granularity` should be {manifest.granularity!r}, that of {entry.name}. "
            f"Found {granularity!r}."
        )
    config = _config(entry, arguments)
    classes = config["model_args"].pop("num_classes")
    model = from_pretrained(entry.folder, model=build(config, manifest.tensors, entry.name))
    if set(trained_capacities(model)) != set(capacities):
        other = make_prunable(prune(model, 1.0), capacities, **what_to_score(manifest))
        other.load_state_dict(model.state_dict())  # which warns of capacities that are new
        model = other
    if classes != config["num_classes"]:
        model.reset_classifier(classes)  # type: ignore[operator]
        set_space_id(model)
    return model.eval()


def _config(entry: CatalogueEntry, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The entry's ``config.json``, with the arguments of ``timm.create_model`` in it."""
    config = read_json(entry.folder / CONFIG)
    ours = {k: v for k, v in arguments.items() if k not in ("pretrained_cfg", "cache_dir")}
    overlay = ours.pop("pretrained_cfg_overlay", None) or {}
    config["pretrained_cfg"] = {
        **config["pretrained_cfg"],
        **overlay,
        "architecture": entry.backbone,
    }
    config["model_args"] = {"num_classes": config["num_classes"], **config["model_args"], **ours}
    return config
