"""timm's networks, prunable, by name: ``timm.create_model("prunnet_resnet18")``.

Importing this module makes the backbones of the paper, and timm's tiny test networks, known to timm
under ``prunnet_<name>``, with timm's own pretrained weights under timm's own tags, and the prunable
checkpoints of :func:`prunnet_pml.hub.catalogue` under theirs. For every other network of timm there
is :func:`create_model`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import timm
from timm.models import (
    generate_default_cfgs,
    get_arch_pretrained_cfgs,
    is_model,
    load_checkpoint,
    parse_model_name,
    register_model,
    split_model_name_tag,
)
from torch import nn

from prunnet_pml.initial_scores import InitialScores
from prunnet_pml.masks import check_capacities, check_capacity
from prunnet_pml.network import (
    TRAINED_CAPACITIES,
    Granularity,
    make_prunable,
    set_capacity,
)
from prunnet_pml.registry.bundled_checkpoints import (
    bundled_cfgs,
    bundled_entry,
    bundled_tags,
    load_bundled,
    untrained,
)
from prunnet_pml.registry.nearest_names import did_you_mean

PREFIX = "prunnet_"
"""What stands before timm's name of a network."""

PAPER_BACKBONES = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "mobilenetv2_100",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
    "convnext_tiny",
)
"""The backbones of the paper, as timm calls them."""

__all__ = [  # a list: timm adds the entry points
    "PAPER_BACKBONES",
    "PREFIX",
    "check_name",
    "create_model",
]


def create_model(
    model_name: str,
    pretrained: bool = False,
    *,
    capacity: float = 1.0,
    capacities: Iterable[float] = TRAINED_CAPACITIES,
    initial_scores: InitialScores = "magnitude",
    granularity: Granularity = "weight",
    round_to: int | None = None,
    score_depthwise: bool = False,
    checkpoint_path: str | Path | None = None,
    **kwargs: Any,  # noqa: ANN401
) -> nn.Module:
    """Any network of timm, prunable.

    Args:
        model_name: What ``timm.create_model`` takes, a tag or ``hf-hub:`` and ``local-dir:``
            included. ``prunnet_`` before it changes nothing.
        pretrained: Whether to load the dense weights that timm has for that name. They are loaded
            first, so that scores by magnitude rank them. With a tag of the catalogue
            (``prunnet list``) the trained prunable network, with its scores, norm statistics and
            space id; it says itself what is scored, and how.
        capacity: What the network is set to, as by ``set_capacity``, in (0, 1]. It keeps every
            weight; ``prune`` makes the plain subnetwork out of it.
        capacities: The capacities below 1 that take part in training.
        initial_scores: As in ``make_prunable``.
        granularity: As in ``make_prunable``: ``"channel"`` needs the extra ``structured``.
        round_to: As in ``make_prunable``.
        score_depthwise: As in ``make_prunable``.
        checkpoint_path: A checkpoint of a prunable network of this kind, scores included, loaded
            last. For one of a plain network see ``pretrained_cfg_overlay=dict(file=...)`` of timm.
        **kwargs: The other arguments of ``timm.create_model``, such as ``num_classes``,
            ``in_chans`` and ``features_only``.

    Returns:
        The prunable network; its ``pretrained_cfg`` is that of timm's network.

    Raises:
        ImportError: If ``granularity`` is ``"channel"`` and Torch-Pruning is not installed.
        ValueError: If timm knows no such name or tag (the nearest ones are named), or an argument
            is out of its range.
    """
    capacity, trained = check_capacity(capacity), check_capacities(capacities)
    name = model_name.removeprefix(PREFIX)
    check_name(name, kwargs.get("pretrained_cfg"))
    entry = bundled_entry(name, kwargs.get("pretrained_cfg"), PREFIX)
    if entry is not None and pretrained:
        _refuse(entry.name, "initial_scores", initial_scores, "magnitude")
        _refuse(entry.name, "round_to", round_to, None)
        _refuse(entry.name, "score_depthwise", score_depthwise, False)
        model = load_bundled(entry, trained, granularity, kwargs)
    else:
        if entry is None:
            network = timm.create_model(name, pretrained=pretrained, **kwargs)
        else:
            network = untrained(entry, kwargs)
        model = make_prunable(
            network,
            trained,
            initial_scores=initial_scores,
            granularity=granularity,
            round_to=round_to,
            score_depthwise=score_depthwise,
        )
    if checkpoint_path:
        load_checkpoint(model, str(checkpoint_path))
    set_capacity(model, capacity)
    return model


def _refuse(checkpoint: str, name: str, value: object, default: object) -> None:
    """Raises ValueError if an argument says how to score what is scored already."""
    if value != default:
        raise ValueError(
            f"`{name}` should be left out with a checkpoint of the catalogue, {checkpoint}, whose "
            f"scores are trained. Found {value!r}."
        )


def check_name(model_name: str, pretrained_cfg: object = None) -> None:
    """Refuses what timm would not find, and says what it would.

    Args:
        model_name: As in :func:`create_model`.
        pretrained_cfg: As in ``timm.create_model``: goes before the tag in ``model_name``.

    Raises:
        ValueError: If timm knows no such name or tag; the nearest ones are named.
    """
    name = model_name.removeprefix(PREFIX)
    source, _ = parse_model_name(name)
    if source in ("hf-hub", "local-dir"):  # its config.json says what it holds
        return
    architecture, tag = split_model_name_tag(name)
    if not is_model(architecture):
        known = timm.list_models(exclude_filters=f"{PREFIX}*")
        raise ValueError(
            f"`model_name` should be a name in timm.list_models(), with or without {PREFIX!r} "
            f"before it. Found {name!r}.{did_you_mean(architecture, known)}"
        )
    if pretrained_cfg:
        tag = pretrained_cfg if isinstance(pretrained_cfg, str) else ""
    published = [split_model_name_tag(full)[1] for full in get_arch_pretrained_cfgs(architecture)]
    published += bundled_tags(architecture)
    if tag and published and tag not in published:
        raise ValueError(
            f"The tag in `model_name` should be one that weights of {architecture} are published "
            f"under: {', '.join(map(repr, published))}. Found {tag!r}. A checkpoint of your own "
            "is loaded by `checkpoint_path`."
        )


def _entry_point(
    name: str,
    pretrained: bool = False,
    pretrained_cfg_overlay: dict[str, Any] | None = None,
    **kwargs: Any,  # noqa: ANN401
) -> nn.Module:
    """What timm calls. Networks are filed under timm's name, whichever they were asked for by."""
    overlay = {**(pretrained_cfg_overlay or {}), "architecture": name}
    return create_model(name, pretrained, pretrained_cfg_overlay=overlay, **kwargs)


def _register(name: str) -> None:
    entry_point: Any = partial(_entry_point, name)
    entry_point.__name__ = PREFIX + name
    entry_point.__module__ = __name__
    entry_point.__doc__ = f"{name}, prunable; the arguments are those of :func:`create_model`."
    globals()[entry_point.__name__] = register_model(entry_point)


_REGISTERED = (*PAPER_BACKBONES, *timm.list_models("test_*"))
default_cfgs = generate_default_cfgs(  # under this name timm looks for them
    {
        **{
            PREFIX + full_name: cfg
            for name in _REGISTERED
            for full_name, cfg in get_arch_pretrained_cfgs(name).items()
        },
        **bundled_cfgs(),
    }
)
for _name in _REGISTERED:
    _register(_name)
