"""What every network of a family weighs and how fast it is."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from measure.clock import seconds as now
from prunnet_pml.budgets.counting import count_macs, count_parameters

BATCH, ROUNDS = 32, 15


@torch.no_grad()
def describe_members(
    family: Mapping[float, nn.Module], images: Tensor
) -> dict[str, dict[str, float]]:
    """Sizes and speeds by capacity.

    Args:
        family: Networks by capacity, the dense one at 1.
        images: A batch that they take.

    Returns:
        For each capacity ``parameters``, ``nonzero`` of them, ``macs`` of one image,
        ``milliseconds`` of the batch, and ``latency``: the median over the rounds of its time over
        the dense network's of the same round.
    """
    seconds: dict[float, list[float]] = {capacity: [] for capacity in family}
    for _ in range(ROUNDS + 2):
        for capacity, network in family.items():
            start = now(images.device)
            network(images)
            seconds[capacity].append(now(images.device) - start)
    timed = {capacity: found[2:] for capacity, found in seconds.items()}  # without the warm-up
    return {
        f"{capacity:g}": {
            **_sizes(network),
            "macs": count_macs(network, images.shape[1:]),
            "milliseconds": round(1000 * statistics.median(timed[capacity]), 3),
            "latency": round(_ratio(timed[capacity], timed[1.0]), 4),
        }
        for capacity, network in family.items()
    }


def _sizes(network: nn.Module) -> dict[str, Any]:
    return {
        "parameters": count_parameters(network),
        "nonzero": sum(int(parameter.count_nonzero()) for parameter in network.parameters()),
    }


def _ratio(own: list[float], dense: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(own, dense, strict=True))
