"""How small granularity "channel" makes the networks on its list, and what `round_to` costs.

python benchmarks/channel.py      # writes benchmarks/results/channel.json; some minutes
"""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import prunnet_pml as prunnet
from results import write_results

Filter = Callable[[nn.Module, str], bool]

NETWORKS = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "regnety_002",
    "convnext_tiny",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
)
READ_BY_HEAD = ("mobilenetv2_100", "mobilenetv3_large_100")
"""What ends in a wide layer that the embedding head alone reads; tried with the head scored too."""
CAPACITIES = (0.2, 0.4, 0.5, 0.6, 0.8)
ROUNDED = {"exact": None, "multiples of 8": 8}
EMBEDDING = 128


def main() -> None:
    """Measures and writes the JSON."""
    torch.set_num_threads(1)
    timm.layers.set_fused_attn(False)  # a fused one hides its multiplications from the counter
    networks = {name: measured(name) for name in NETWORKS}
    heads = {name: measured(name, lambda _module, _name: True) for name in READ_BY_HEAD}
    write_results(
        "channel", {"embedding": EMBEDDING, "networks": networks, "with_head_scored": heads}
    )


def measured(name: str, filter_fn: Filter | None = None) -> dict[str, object]:
    """Parameters and multiply-accumulates, dense and as shares of it at every capacity."""
    found: dict[str, object] = {}
    for rounded, round_to in ROUNDED.items():
        torch.manual_seed(0)
        network = timm.create_model(name, num_classes=EMBEDDING).eval()
        size = timm.get_pretrained_cfg(name).input_size
        parameters, macs = cost(network, size)
        model = prunnet.make_prunable(
            network, granularity="channel", round_to=round_to, filter_fn=filter_fn
        )
        units = prunnet.kept_units(model, 1.0)["groups"]
        found.update(
            parameters=parameters,
            macs=macs,
            pixels=size[-1],
            groups=len(units),
            units=sum(group["units"] for group in units),
        )
        shares = {}
        for capacity in CAPACITIES:
            own_parameters, own_macs = cost(prunnet.prune(model, capacity), size)
            shares[f"{capacity:g}"] = {
                "parameters": own_parameters / parameters,
                "macs": own_macs / macs,
            }
        found[rounded] = shares
    print(name, found, flush=True)
    return found


@torch.no_grad()
def cost(model: nn.Module, size: tuple[int, int, int]) -> tuple[int, int]:
    """Parameters, and multiply-accumulates for one image of [channels, height, width]."""
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *size))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


if __name__ == "__main__":
    main()
