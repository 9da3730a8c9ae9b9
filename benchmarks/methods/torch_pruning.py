"""Torch-Pruning's own magnitude pruning of a network that was trained as usual."""

from __future__ import annotations

import copy

import torch
import torch_pruning
from torch import nn
from torch.optim.swa_utils import update_bn

from measure import TrainingBook
from methods.channel_sizes import channel_macs, of_channels
from methods.fitting import fit_dense
from methods.method import Family
from prunnet_pml.budgets.counting import count_macs
from prunnet_pml.units.scoring import unit_roots
from tasks import MEASURED, Task


def torch_pruning_magnitude(task: Task, book: TrainingBook) -> Family:
    """The hidden channels that granularity "channel" may prune, down to the same MACs.

    Norm statistics are taken anew afterwards; nothing is trained further.
    """
    dense, _ = fit_dense(task, book)
    hidden = _hidden_layers(task)
    family = {1.0: dense}
    for capacity, wanted in channel_macs(task, MEASURED[1:]).items():
        network = _pruned_to(task, dense, hidden, capacity, wanted)
        update_bn(task.calibration_images(), network)
        family[capacity] = network.eval()
    return family


def _hidden_layers(task: Task) -> set[str]:
    """The names of the layers that make hidden units."""
    [(_, _, units)] = unit_roots(of_channels(task))
    return {cut.name for group in units.groups for cut in group.cuts if cut.side == "out"}


def _pruned_to(
    task: Task, dense: nn.Module, hidden: set[str], capacity: float, wanted: int
) -> nn.Module:
    """The network whose multiplications come nearest to those wanted."""
    size = task.input_size
    low, high = 0.0, 1.0
    ratio, best = 1 - capacity, dense
    for _ in range(6):
        network = _pruned(task, dense, hidden, ratio)
        found = count_macs(network, size)
        if abs(found - wanted) < abs(count_macs(best, size) - wanted):
            best = network
        low, high = (ratio, high) if found > wanted else (low, ratio)
        if abs(found - wanted) < 0.01 * wanted:
            break
        ratio = (low + high) / 2
    return best


def _pruned(task: Task, dense: nn.Module, hidden: set[str], ratio: float) -> nn.Module:
    network = copy.deepcopy(dense)
    layers = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    with torch.enable_grad():
        torch_pruning.pruner.BasePruner(
            network,
            task.example(2),
            importance=torch_pruning.importance.GroupMagnitudeImportance(),
            pruning_ratio=ratio,
            ignored_layers=[m for name, m in layers.items() if name not in hidden],
        ).step()
    return network
