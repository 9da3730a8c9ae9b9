"""How much faster a subnetwork runs than its dense network, and what it takes besides.

    python benchmarks/latency.py                    # half an hour; benchmarks/results/latency.json
    python benchmarks/latency.py --networks resnet18 --parts eager memory --again

All networks of a runtime and batch size take turns in one process on one thread; a ratio is of two
forwards of the same turn, in processor time, and the median of the turns counts. What the JSON has
is not measured again, so a run that was cut off goes on where it stopped. Compiling takes longest,
so that is done to the dense network and the smallest capacity alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from latency_networks import CHANNEL, COMPARED_AT, DENSE, INPUT_SIZE, ZEROS, networks
from latency_runtimes import RUNTIMES, Run
from prunnet_pml.budgets import count_macs
from results import read_results, write_results

NETWORKS = ("resnet18", "resnet50", "convnext_tiny", "vit_small_patch16_224")
TURNS = {1: 15, 32: 3}
TARGETS = {"macs": 0.30, "latency": 0.35}
KEEPS_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
"""As jemalloc does: else glibc gives large tensors back, and each new one costs page faults."""
ENVIRONMENTS = {
    "eager": {},
    "tuned": KEEPS_MEMORY,
    "onnx": {},
    "compile": {**KEEPS_MEMORY, "TORCHINDUCTOR_COMPILE_THREADS": "1"},
    "memory": {"MALLOC_MMAP_THRESHOLD_": "262144"},  # a peak is what is needed, no fragmentation
}
"""What is measured of a network, each in a process of its own."""


def measure(name: str, parts: list[str], again: bool) -> None:
    """Adds to what was found of a network, and writes it after every part."""
    found = read_results("latency").get("networks", {}).get(name, {})
    for part in ("sizes", *parts):
        if part not in found or again:
            command = [sys.executable, __file__, "--networks", name, "--measure", part]
            environment = os.environ | ENVIRONMENTS.get(part, {})
            output = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, env=environment
            ).stdout
            found[part] = json.loads(output.splitlines()[-1])
            write(name, found)


def write(name: str, found: dict[str, Any]) -> None:
    """Replaces what the JSON has of one network."""
    everything = {**read_results("latency").get("networks", {}), name: found}
    write_results(
        "latency",
        {
            "onnxruntime": version("onnxruntime"),
            "cpu": re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[0],
            "pixels": INPUT_SIZE[1],
            "turns": TURNS,
            "targets": TARGETS,
            "networks": {key: everything[key] for key in NETWORKS if key in everything},
        },
    )


def ours(name: str) -> Iterator[tuple[str, nn.Module]]:
    """The dense network and its subnetworks, by kind and capacity."""
    for kind, capacity, network in networks(name):
        if kind not in (DENSE, CHANNEL):
            break
        yield f"{kind} {capacity:g}", network


def sizes(name: str) -> dict[str, dict[str, int]]:
    """What a network takes; of one with zeros, parameters are those that are none."""
    found = {}
    for kind, capacity, network in networks(name):
        count: Callable[[Any], Any] = torch.count_nonzero if kind == ZEROS else torch.numel
        found[f"{kind} {capacity:g}"] = {
            "macs": count_macs(network, INPUT_SIZE),
            "parameters": sum(int(count(parameter)) for parameter in network.parameters()),
            "file_bytes": len(safetensors.torch.save(network.state_dict())),
        }
    return found


def latency(name: str, runtime: str) -> dict[str, dict[str, dict[str, float]]]:
    """By batch size; the larger one of subnetworks alone, without what they are compared to."""
    if runtime == "compile":
        chosen = dict(ours(name))
        chosen = {key: chosen[key] for key in (f"{DENSE} 1", f"{CHANNEL} {COMPARED_AT:g}")}
    else:
        chosen = {f"{kind} {capacity:g}": network for kind, capacity, network in networks(name)}
    found = {}
    for batch, turns in TURNS.items():
        images = torch.randn(batch, *INPUT_SIZE)
        if batch > 1:
            chosen = {k: n for k, n in chosen.items() if k.startswith((DENSE, f"{CHANNEL} "))}
        runs = {key: RUNTIMES[runtime](network, images) for key, network in chosen.items()}
        found[str(batch)] = take_turns(runs, turns)
    return found


def take_turns(runs: Mapping[str, Run], turns: int) -> dict[str, dict[str, float]]:
    """Processor time of each, and its ratio to the first one's in the same turn."""
    seconds: dict[str, list[float]] = {key: [] for key in runs}
    for turn in range(turns + 1):
        for key, run in runs.items():
            start = time.process_time()
            run()
            if turn:  # the first one warms up
                seconds[key].append(time.process_time() - start)
    [first, *_] = seconds.values()
    found = {}
    for key, taken in seconds.items():
        ratios = [one / dense for one, dense in zip(taken, first, strict=True)]
        found[key] = {
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "milliseconds": 1000 * statistics.median(taken),
        }
    return found


def memory(name: str) -> dict[str, dict[str, float]]:
    """MiB of a network's weights, and of what a forward adds at most, for each batch size."""
    return {
        key: {
            str(batch): sum(tensor.nbytes for tensor in network.state_dict().values()) / 2**20
            + _grown_by(network, torch.randn(batch, *INPUT_SIZE))
            for batch in TURNS
        }
        for key, network in ours(name)
    }


@torch.inference_mode()
def _grown_by(network: nn.Module, images: torch.Tensor) -> float:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    network(images)
    return _status("VmHWM") - before


def _status(key: str) -> float:
    """A line of /proc/self/status, in MiB."""
    return int(re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def main() -> None:
    """Measures and writes the JSON."""
    possible = [part for part in ENVIRONMENTS if part in RUNTIMES or part == "memory"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--parts", nargs="+", default=possible, choices=possible)
    parser.add_argument("--again", action="store_true", help="also what the JSON has")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if part := arguments.measure:
        alone = {"sizes": sizes, "memory": memory}
        [name] = arguments.networks
        print(json.dumps(alone[part](name) if part in alone else latency(name, part)))
        return
    for name in arguments.networks:
        measure(name, arguments.parts, arguments.again)


if __name__ == "__main__":
    main()
