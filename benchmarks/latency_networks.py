"""The networks whose latency is compared: a dense one, and what makes it smaller or only sparser.

Weights are untrained: how long a network runs does not depend on them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import timm
import torch
import torch_pruning
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.budgets import count_macs
from prunnet_pml.slimmable import (
    SlimConv2d,
    SlimLinear,
    SwitchableBatchNorm,
    make_slimmable,
    set_width,
)

EMBEDDING = 128
INPUT_SIZE = (3, 224, 224)
CAPACITIES = (0.2, 0.4, 0.6, 0.8)
COMPARED_AT = 0.2

DENSE = "dense"
CHANNEL = "channel"
ROUNDED = "channel, round_to=8"
ZEROS = "zeros"
TORCH_PRUNING = "Torch-Pruning"
SLIMMABLE = "slimmable"


def networks(name: str) -> Iterator[tuple[str, float, nn.Module]]:
    """Kind, capacity and network: the dense one first, then every other one at its capacities."""
    torch.manual_seed(0)
    dense = timm.create_model(name, num_classes=EMBEDDING).eval()
    yield DENSE, 1.0, dense
    model = prunnet.make_prunable(copy.deepcopy(dense), granularity="channel")
    for capacity in CAPACITIES:
        yield CHANNEL, capacity, prunnet.prune(model, capacity)
    rounded = prunnet.make_prunable(copy.deepcopy(dense), granularity="channel", round_to=8)
    yield ROUNDED, COMPARED_AT, prunnet.prune(rounded, COMPARED_AT)
    zeros = prunnet.make_prunable(copy.deepcopy(dense))
    yield ZEROS, COMPARED_AT, prunnet.prune(zeros, COMPARED_AT)
    wanted = count_macs(prunnet.prune(model, COMPARED_AT), INPUT_SIZE)
    yield TORCH_PRUNING, COMPARED_AT, torch_pruned(dense, wanted)
    if name.startswith("resnet"):  # what has no biases and groups can be slimmed
        yield SLIMMABLE, COMPARED_AT, slimmed(dense, COMPARED_AT)


def torch_pruned(dense: nn.Module, macs: int) -> nn.Module:
    """Torch-Pruning's own choice of channels, residual streams too, of at most so many MACs."""
    ratios = [0.0, 1.0]
    best = None
    for _ in range(6):
        ratio = sum(ratios) / 2
        network = _at_ratio(dense, ratio)
        fits = count_macs(network, INPUT_SIZE) <= macs
        ratios[fits] = ratio
        best = network if fits else best
    if best is None:
        raise ValueError(f"`macs` should be reachable. Found {macs}.")
    return best


def _at_ratio(dense: nn.Module, ratio: float) -> nn.Module:
    network = copy.deepcopy(dense)
    attentions = [m for m in network.modules() if hasattr(m, "qkv") and hasattr(m, "num_heads")]
    pruner = torch_pruning.pruner.BasePruner(
        network,
        torch.randn(2, *INPUT_SIZE),
        importance=torch_pruning.importance.GroupMagnitudeImportance(),
        pruning_ratio=ratio,
        ignored_layers=[network.get_classifier()],
        num_heads={attention.qkv: attention.num_heads for attention in attentions},
        prune_num_heads=bool(attentions),
        head_pruning_ratio=ratio,
    )
    with torch.enable_grad():
        pruner.step()
    for attention in attentions:  # what timm's attention knows of its own shape
        attention.num_heads = pruner.num_heads[attention.qkv]
        attention.attn_dim = attention.qkv.out_features // 3
        attention.head_dim = attention.attn_dim // attention.num_heads
        attention.scale = attention.head_dim**-0.5
    return network.eval()


def slimmed(dense: nn.Module, capacity: float) -> nn.Module:
    """The first sqrt(c) of all channels, cut out."""
    network = set_width(make_slimmable(copy.deepcopy(dense), (1.0, capacity)), capacity).eval()
    widths: dict[nn.Module, int] = {}
    layers = [m for m in network.modules() if isinstance(m, SlimConv2d | SlimLinear)]
    hooks = [
        layer.register_forward_pre_hook(lambda m, inputs: widths.update({m: inputs[0].shape[1]}))
        for layer in layers
    ]
    with torch.no_grad():
        network(torch.randn(1, *INPUT_SIZE))
    for hook in hooks:
        hook.remove()
    for layer in layers:
        weight = layer.weight.detach()[:, : widths[layer]]
        if isinstance(layer, SlimConv2d):
            layer.out_channels = round(capacity**0.5 * layer.out_channels)
            layer.in_channels = widths[layer]
            layer.__class__ = nn.Conv2d
            weight = weight[: layer.out_channels]
        else:
            layer.__class__ = nn.Linear
        layer.weight = nn.Parameter(weight.contiguous())
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, SwitchableBatchNorm):
                setattr(module, name, child.norms[f"{capacity:g}".replace(".", "_")])
    return network
