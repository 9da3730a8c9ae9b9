"""What a training step of N + 1 capacities costs, against N + 1 steps of the same dense network.

    python benchmarks/step.py                    # all five: writes benchmarks/results/step.json
    python benchmarks/step.py --drawn            # the default, two: results/step_drawn.json
    python benchmarks/step.py --networks resnet18 --pairs 3
    python benchmarks/step.py --device cuda      # writes benchmarks/results/step_gpu.json

Time: pairs of (dense steps, one prunable step) in one process on one thread, the two in turn;
the median of the pairs' ratios. Peak memory: of a process that does nothing else, three steps, in
units of the dense process's peak and of one set of gradients (one gradient for everything that is
trained). On a GPU: batches that fill it, and the peak of what is allocated there.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import timm
import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from tqdm import tqdm

import prunnet_pml as prunnet
from measure.clock import device_name, seconds
from measure.memory import forget_peak, peak_mib
from prunnet_pml.network import TRAINED_CAPACITIES
from results import read_results, write_results

CPU = torch.device("cpu")
SETTINGS = {
    "cpu": {"resnet18": (32, 128), "resnet50": (32, 128), "vit_small_patch16_224": (8, 224)},
    "cuda": {"resnet18": (256, 224), "resnet50": (128, 224), "vit_small_patch16_224": (128, 224)},
}
"""Batch and pixels, by device and network."""
CLASSES, DIM = 100, 128
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "262144"}
"""Gives freed tensors back at once, so that a peak is what is needed and not fragmentation."""


def dense_steps(name: str, count: int, device: torch.device = CPU) -> Callable[[], None]:
    """A function that takes ``count`` training steps of the dense network."""
    images, labels = _batch(name, device)
    model = timm.create_model(name, num_classes=DIM).to(device)
    loss_func = NormalizedSoftmaxLoss(CLASSES, DIM).to(device)
    optimizer = _sgd(model, loss_func)

    def run() -> None:
        for _ in range(count):
            optimizer.zero_grad()
            loss_func(model(images), labels).backward()
            optimizer.step()

    return run


def prunable_step(
    name: str, subnetworks: int | None, device: torch.device = CPU
) -> Callable[[], None]:
    """A function that takes one training step of so many subnetworks; None: of all."""
    images, labels = _batch(name, device)
    model = prunnet.make_prunable(timm.create_model(name, num_classes=DIM)).to(device)
    loss_func = prunnet.CompatibleLoss(NormalizedSoftmaxLoss(CLASSES, DIM), model).to(device)
    optimizer = prunnet.ConflictAwareOptimizer(
        _sgd(model, loss_func), model, subnetworks_per_step=subnetworks
    )

    def run() -> None:
        for _ in optimizer.capacities():
            loss_func(model(images), labels).backward()
        optimizer.step()

    return run


def _batch(name: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    size, pixels = SETTINGS[device.type][name]
    images, labels = torch.randn(size, 3, pixels, pixels), torch.randint(0, CLASSES, (size,))
    return images.to(device), labels.to(device)


def _sgd(*modules: torch.nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def passes(subnetworks: int | None) -> int:
    """How many passes a step has."""
    return 1 + (len(TRAINED_CAPACITIES) if subnetworks is None else subnetworks)


def measure_time(
    name: str, subnetworks: int | None, pairs: int, device: torch.device
) -> dict[str, float]:
    """Seconds of a prunable step, and of as many dense ones as it has passes, in turn."""
    dense = dense_steps(name, passes(subnetworks), device)
    prunable = prunable_step(name, subnetworks, device)
    taken: dict[str, list[float]] = {"dense": [], "prunable": []}
    for i in tqdm(range(pairs + 1), desc=name, disable=None):
        for key, run in (("dense", dense), ("prunable", prunable)):
            start = seconds(device)
            run()
            if i:  # the first pair warms up
                taken[key].append(seconds(device) - start)
    ratios = [p / d for p, d in zip(taken["prunable"], taken["dense"], strict=True)]
    return {
        "dense_steps_s": statistics.median(taken["dense"]),
        "prunable_step_s": statistics.median(taken["prunable"]),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def measure_memory(name: str, subnetworks: int | None, device: torch.device) -> dict[str, float]:
    """Peak memory in MiB: resident, of a process of its own, or allocated on a GPU."""
    peaks = {}
    for kind in ("dense", "prunable"):
        if device.type == "cpu":
            command = [sys.executable, __file__, "--networks", name, "--memory-of", kind]
            if subnetworks is not None:
                command += ["--drawn"]
            output = subprocess.run(
                command, capture_output=True, text=True, check=True, env=os.environ | ALLOCATOR
            ).stdout
            peaks[kind] = json.loads(output)
        else:
            peaks[kind] = _memory_of(name, subnetworks, kind, device)
    gradients = peaks["prunable"]["gradients_mib"]
    allowed = 1.1 * (peaks["dense"]["peak_mib"] + passes(subnetworks) * gradients)
    return {
        "dense_peak_mib": peaks["dense"]["peak_mib"],
        "prunable_peak_mib": peaks["prunable"]["peak_mib"],
        "one_set_of_gradients_mib": gradients,
        "target_mib": allowed,
        "peak_over_target": peaks["prunable"]["peak_mib"] / allowed,
        "peak_over_dense": peaks["prunable"]["peak_mib"] / peaks["dense"]["peak_mib"],
    }


def _memory_of(
    name: str, subnetworks: int | None, kind: str, device: torch.device = CPU
) -> dict[str, float]:
    gc.collect()
    forget_peak(device)
    dense = kind == "dense"
    run = dense_steps(name, 1, device) if dense else prunable_step(name, subnetworks, device)
    for _ in range(3):
        run()
    peak = peak_mib(device)
    model = prunnet.make_prunable(timm.create_model(name, num_classes=DIM))
    trained = sum(parameter.numel() * 4 for parameter in model.parameters())
    return {"peak_mib": peak, "gradients_mib": trained / 2**20}


def main() -> None:
    """Measures and writes the JSON."""
    names = list(SETTINGS["cpu"])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=names, choices=names)
    parser.add_argument("--drawn", action="store_true", help="one subnetwork a step, not all")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=SETTINGS)
    parser.add_argument("--memory-of", choices=("dense", "prunable"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device, count = torch.device(arguments.device), 1 if arguments.drawn else None
    torch.set_num_threads(1)
    if device.type != "cpu":
        torch.set_float32_matmul_precision("high")  # TF32
    torch.manual_seed(0)
    if arguments.memory_of:
        name, kind = arguments.networks[0], arguments.memory_of
        print(json.dumps(_memory_of(name, count, kind)))
        return
    results = "step_drawn" if arguments.drawn else "step"
    results += "" if device.type == "cpu" else "_gpu"
    before = read_results(results)
    same = before.get("device", "cpu") == device_name(device)
    networks = before["networks"] if before and same else {}
    for name in arguments.networks:
        batch, pixels = SETTINGS[device.type][name]
        settings = {"batch": batch, "pixels": pixels, "pairs": arguments.pairs}
        found = measure_time(name, count, arguments.pairs, device)
        found |= measure_memory(name, count, device)
        networks[name] = settings | found
        document = {"device": device_name(device), "target_ratio": 1.1, "networks": networks}
        write_results(results, document)


if __name__ == "__main__":
    main()
