"""The methods that PrunNet is compared with, each a few lines on the library's parts.

A method makes a family, a trained network for every capacity, of a task: data, backbone, budget.
All of them train with the same optimizer and schedule, and on the same batches, of which those with
``times_the_steps`` see more, and some others for each capacity (``batches``).
"""

from dataclasses import replace
from typing import Any

from methods.ablations import ablations
from methods.method import Family, Method
from methods.prunable import (
    global_magnitude_pruning,
    magnitude_pruning,
    no_training,
    prunnet_method,
)
from methods.separate import asymmetric, bct_per_size, dense_longer, independent, independent_macs
from methods.settings import ALL_CAPACITIES, CHANNEL, DEFAULT, JOINT, PAPER, TORCHJD
from methods.slimmable_widths import sfsc, slimmable
from methods.torch_pruning import torch_pruning_magnitude

_CALIBRATED: dict[str, Any] = {"norms": "calibrated"}
"""As the prunable networks': exact norm statistics, taken after training."""

METHODS: dict[str, Method] = {
    "no-training": Method(
        no_training,
        "The dense network as it starts, pruned as in magnitude-pruning: the floor.",
        _CALIBRATED,
    ),
    "independent": Method(
        independent, "A network per size, trained on its own: compatible with nothing."
    ),
    "dense-longer": Method(
        dense_longer, "The dense network alone, in five times the steps: what else they could buy."
    ),
    "independent-macs": Method(
        independent_macs,
        "A network per size, trained on its own, with the MACs of the channel-pruned network.",
    ),
    "magnitude-pruning": Method(
        magnitude_pruning,
        "A dense network, the smallest weights of every layer pruned, norms recalibrated.",
        _CALIBRATED,
    ),
    "global-magnitude": Method(
        global_magnitude_pruning,
        "The same with the smallest weights of all layers together: some layers lose more.",
        _CALIBRATED,
    ),
    "torch-pruning": Method(
        torch_pruning_magnitude, "The same with hidden channels, by Torch-Pruning's own pruner."
    ),
    "joint": prunnet_method(JOINT, "The plain sum of all capacities' losses, nothing detached."),
    "joint-own-batches": prunnet_method(
        replace(JOINT, batches="one for each"),
        "The same with another batch for each capacity of a step: five times the images.",
    ),
    "joint-drawn-longer": prunnet_method(
        replace(JOINT, subnetworks_per_step=1, times_the_steps=2.5),
        "The same with one subnetwork a step, drawn, in 2.5 times the steps: as many passes.",
    ),
    "bct-per-size": Method(
        bct_per_size, "A network per size, with the dense one's influence loss (arXiv 2003.11942)."
    ),
    "asymmetric": Method(
        asymmetric, "A network per size that regresses the dense embeddings (arXiv 2006.16331)."
    ),
    "sfsc": Method(
        sfsc, "Slimmable widths with switchable norms that learn by evidence (arXiv 2206.08289)."
    ),
    "slimmable": Method(
        slimmable,
        "Slimmable widths of prunnet-channel's MACs: the class loss alone, gradients summed.",
    ),
    "prunnet-published": prunnet_method(PAPER, "PrunNet as in the paper (arXiv 2504.11879)."),
    "prunnet-authors-code": prunnet_method(
        replace(PAPER, projection="last"),
        "As the authors' code computes it: of all conflicts of a gradient the last one survives.",
    ),
    **{
        f"torchjd-{name.lower()}": prunnet_method(
            replace(ALL_CAPACITIES, integration=name),
            f"prunnet-all-capacities with TorchJD's {name}.",
        )
        for name in TORCHJD
    },
    "prunnet-all-capacities": prunnet_method(
        ALL_CAPACITIES,
        "The library's losses and integrator, every capacity in every step, contrast 1.",
    ),
    "prunnet-own-batches": prunnet_method(
        replace(ALL_CAPACITIES, batches="one for each"),
        "The same with another batch for each capacity of a step: five times the images.",
    ),
    "prunnet-default": prunnet_method(
        DEFAULT,
        "The library's defaults, then calibrate: a dense and a drawn pass a step, draws between "
        "trained capacities too, in 2.5 times the steps.",
    ),
    "prunnet-channel": prunnet_method(
        CHANNEL,
        "Hidden channels as units: gradients summed, alignment 1, contrast 0, running averages.",
        norms="own",
    ),
}
"""Every method by the name that the command knows it by."""

CHANNEL_VARIANTS: dict[str, Method] = ablations("prunnet-channel")
"""``prunnet-channel`` with one factor changed."""

DEFAULT_VARIANTS: dict[str, Method] = ablations("prunnet-default")
"""``prunnet-default`` with one factor changed."""

VARIANTS: dict[str, Method] = {
    **ablations("prunnet-all-capacities"),
    **DEFAULT_VARIANTS,
    **CHANNEL_VARIANTS,
}
"""Both, and ``prunnet-all-capacities`` with one factor changed."""

__all__ = ["CHANNEL_VARIANTS", "DEFAULT_VARIANTS", "METHODS", "VARIANTS", "Family", "Method"]
