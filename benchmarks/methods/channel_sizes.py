"""How big the networks of granularity "channel" are, whatever they have learned."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.budgets.counting import count_macs
from tasks import Task


def channel_macs(task: Task, capacities: Iterable[float]) -> dict[float, int]:
    """Multiplications for one image, by capacity."""
    model, size = of_channels(task), task.input_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # norms without training multiply as much
        return {c: count_macs(prunnet.prune(model, c), size) for c in capacities}


def of_channels(task: Task) -> nn.Module:
    """The backbone with scores for its hidden units, untrained."""
    return prunnet.make_prunable(
        task.network(), granularity="channel", example_input=task.example(2)
    )
