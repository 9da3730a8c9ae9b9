"""How big the networks of granularity "channel" are, whatever they have learned."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable

from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.budgets.counting import count_macs
from tasks import CAPACITIES, Task


def channel_macs(task: Task, capacities: Iterable[float]) -> dict[float, int]:
    """Multiplications for one image, by capacity."""
    model, size = of_channels(task), task.input_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # norms without training multiply as much
        return {c: count_macs(prunnet.prune(model, c), size) for c in capacities}


def widths_of_channels(task: Task, build: Callable[[float], nn.Module]) -> dict[float, float]:
    """The narrowest widths, in whole percents, that multiply at least as often, by capacity.

    Args:
        task: Gives images and the channel-pruned networks.
        build: A network of a width in (0, 1).
    """

    def macs(percent: int) -> int:
        return count_macs(build(percent / 100), task.input_size)

    wanted = channel_macs(task, CAPACITIES)
    return {c: (2 + bisect_left(range(2, 99), wanted[c], key=macs)) / 100 for c in CAPACITIES}


def of_channels(task: Task) -> nn.Module:
    """The backbone with scores for its hidden units, untrained."""
    return prunnet.make_prunable(
        task.network(), granularity="channel", example_input=task.example(2)
    )
