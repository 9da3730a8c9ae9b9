"""The network itself, by timm's name: written as stock timm reads it, and built from that."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import is_model
from timm.models._hub import save_config_for_hf
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.records import TensorRecord
from prunnet_pml.units.kept import apply_kept_units

_LARGEST = 1 << 20
"""Largest whole number in a configuration: classes, pixels, channels, blocks."""

_BUFFERS = 4
"""How many times the parameters the buffers may be: in Swin-B, at 1536 pixels, it is 0.45."""

_OURS = ("capacity", "capacities", "initial_scores", "granularity", "round_to")
"""Arguments of ``timm.create_model("prunnet_resnet18", ...)`` that stock timm has not."""

_LOADING = ("pretrained", "checkpoint", "cache", "features_only")
"""What arguments start with that make timm load something, or wrap the network."""


def timm_config(
    model: nn.Module,
    shapes: Mapping[str, torch.Size],
    file: Path,
    kept: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What timm writes into ``config.json`` for a network, or nothing if it is not timm's.

    Args:
        model: A network.
        shapes: The shapes of its plain tensors.
        file: A path to write to and read again.
        kept: Where hidden units were cut out of it: those that are left, see ``kept_units``.
    """
    if not isinstance(getattr(model, "pretrained_cfg", None), Mapping):
        return {}
    try:
        save_config_for_hf(model, str(file))
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        arguments = config.pop("model_args", {}).items()
        config["model_args"] = {key: value for key, value in arguments if key not in _OURS}
        with torch.device("meta"):
            network = _create(config)
        if kept is not None:
            apply_kept_units(network, kept)
        built = {name: value.shape for name, value in network.state_dict().items()}
    except Exception as error:  # its configuration may be anything
        built, reason = {}, f"{type(error).__name__}: {error}"
    else:
        reason = "another network"
    if built == shapes:
        return config
    warnings.warn(
        f"timm does not rebuild this network from its configuration ({reason}). It is saved for "
        "from_pretrained(folder, model=...), where you bring the network; without prunnet_pml it "
        "can't be loaded.",
        stacklevel=4,
    )
    return {}


def build(config: Mapping[str, Any], records: Mapping[str, TensorRecord], where: str) -> nn.Module:
    """The network that a ``config.json`` describes, its values to be filled in.

    It is built without memory, on the meta device, and stays there where files will bring all its
    tensors; in earnest, where some are in no state dict, only if it is the network of the manifest.

    Args:
        config: The content of ``config.json``.
        records: The tensors that it should have.
        where: What errors call the file.

    Raises:
        CheckpointError: If timm has no such network, or the tensors are others.
    """
    if "architecture" not in config:
        raise CheckpointError(f"{where} names no network of timm: bring it as `model`.")
    try:
        _check_config(config)
        with _at_most(len(records)):
            with torch.device("meta"):
                unborn = _create(config)
            check_tensors(unborn, records, where)
            _check_buffers(unborn)
            return unborn if _is_all_in_state(unborn) else _create(config)
    except CheckpointError:
        raise
    except Exception as error:  # there is nothing that garbage can't make a constructor raise
        reason = str(error)[:500] or type(error).__name__
        raise CheckpointError(f"{where} should describe a network of timm: {reason}") from error


def check_tensors(model: nn.Module, records: Mapping[str, TensorRecord], where: str) -> None:
    """Raises CheckpointError where a plain network has other tensors than the manifest says."""
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in {**shapes, **records}:
        wanted = records[name].shape if name in records else "none of that name"
        if shapes.get(name) != wanted:
            raise CheckpointError(
                f"{where} should describe the network that its files hold: `{name}` should be "
                f"{wanted}. Found {shapes.get(name, 'none')} in {type(model).__name__}."
            )


def _create(config: Mapping[str, Any]) -> nn.Module:
    pretrained_cfg = {
        **config["pretrained_cfg"],
        "architecture": config["architecture"],
        "num_classes": config["num_classes"],
    }
    return timm.create_model(
        config["architecture"],
        pretrained=False,
        pretrained_cfg=pretrained_cfg,
        **{"num_classes": config["num_classes"], **config.get("model_args", {})},
    )


def _check_config(config: Mapping[str, Any]) -> None:
    name = config["architecture"]
    if not isinstance(name, str) or not is_model(name):
        raise ValueError(f"`architecture` should be in timm.list_models(). Found {name!r}.")
    for key in config.get("model_args", {}):
        if key.startswith(_LOADING):
            raise ValueError(f"`model_args` should describe the network alone. Found {key!r}.")
    described = [config.get(key) for key in ("num_classes", "model_args", "pretrained_cfg")]
    for number in _whole_numbers(described):
        if abs(number) > _LARGEST:
            raise ValueError(f"its numbers should be at most {_LARGEST}. Found {number}.")


def _is_all_in_state(model: nn.Module) -> bool:
    """Whether a network has no tensors but those of its state dict."""
    held = [value for module in model.modules() for value in vars(module).values()]
    names = model.state_dict().keys()
    return all(name in names for name, _ in model.named_buffers()) and not any(
        isinstance(value, torch.Tensor) for value in held
    )


def _check_buffers(model: nn.Module) -> None:
    """Attention masks and the like grow with the images' size; they are in no state dict."""
    buffers = sum(buffer.numel() for buffer in model.buffers())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if buffers > _BUFFERS * (parameters + _LARGEST):
        raise ValueError(f"its buffers should be smaller. Found {buffers} numbers in them.")


def _whole_numbers(value: object) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers(item)


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """Stops whoever builds a network of more parameters, such as one of a million blocks."""
    built = 0

    def count(_module: nn.Module, _name: str, parameter: object) -> None:
        nonlocal built
        built += parameter is not None
        if built > 4 * parameters:  # twice built, and some are assigned twice
            raise ValueError(f"Found a network of more than {parameters} parameters.")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
