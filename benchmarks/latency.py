"""How much faster a subnetwork runs than its dense network, and what it takes besides.

    python benchmarks/latency.py                    # writes benchmarks/results/latency.json
    python benchmarks/latency.py --networks resnet18 --runtimes eager --again

All networks of a batch size and runtime take turns in one process on one thread; a ratio is of two
forwards of the same turn, in processor time, and the median of the turns counts. What the JSON has
is not measured again, so a run that was cut off goes on where it stopped. torch.compile takes most
of the time, so only the dense network and the smallest capacity are compiled.
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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from latency_networks import CHANNEL, COMPARED_AT, DENSE, INPUT_SIZE, ZEROS, networks
from latency_runtimes import RUNTIMES, Run
from results import read_results, write_results
from torch import nn

from prunnet_pml.budgets import count_macs

NETWORKS = ("resnet18", "resnet50", "convnext_tiny", "vit_small_patch16_224")
TURNS = {1: 15, 32: 2}
TARGETS = {"macs": 0.30, "latency": 0.35}
OURS = {DENSE, CHANNEL}
"""Kinds whose memory and large batches are measured; others are there to compare with."""
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "262144"}
"""Gives freed tensors back at once, so that a peak is what is needed and not fragmentation."""


def sizes(network: nn.Module, kind: str) -> dict[str, int]:
    """What a network takes; of one with zeros, parameters are those that are none."""
    parameters = (
        int(p.count_nonzero()) if kind == ZEROS else p.numel() for p in network.parameters()
    )
    return {
        "macs": count_macs(network, INPUT_SIZE),
        "parameters": sum(parameters),
        "file_bytes": len(safetensors.torch.save(network.state_dict())),
    }


def take_turns(runs: Mapping[str, Run], turns: int) -> dict[str, dict[str, float]]:
    """Processor time of each, in units of the first one's in the same turn."""
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


def measure(name: str, runtimes: list[str], found: dict[str, Any], again: bool) -> None:
    """Adds to what was found of a network, and writes it after every runtime."""
    family = {f"{kind} {capacity:g}": (kind, network) for kind, capacity, network in networks(name)}
    found["sizes"] = {key: sizes(network, kind) for key, (kind, network) in family.items()}
    latency = found.setdefault("latency", {})
    compiled = (f"{DENSE} 1", f"{CHANNEL} {COMPARED_AT:g}")
    for runtime in runtimes:
        for batch, turns in TURNS.items():
            where = latency.setdefault(runtime, {})
            if str(batch) in where and not again:
                continue
            images = torch.randn(batch, *INPUT_SIZE)
            runs = {
                key: RUNTIMES[runtime](network, images)
                for key, (kind, network) in family.items()
                if (key in compiled if runtime == "compile" else batch == 1 or kind in OURS)
            }
            where[str(batch)] = take_turns(runs, turns)
            write(name, found)
    if "peak_mib" not in found or again:
        command = [sys.executable, __file__, "--networks", name, "--memory"]
        output = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | ALLOCATOR
        ).stdout
        found["peak_mib"] = json.loads(output)
    write(name, found)


def write(name: str, found: dict[str, Any]) -> None:
    """Replaces what the JSON has of one network."""
    others = read_results("latency").get("networks", {})
    everything = {**others, name: found}
    write_results(
        "latency",
        {
            "pixels": INPUT_SIZE[1],
            "turns": TURNS,
            "targets": TARGETS,
            "networks": {key: everything[key] for key in NETWORKS if key in everything},
        },
    )


def measure_memory(name: str) -> dict[str, dict[str, float]]:
    """By how many MiB a process grows at most by a network and a forward, for each batch size."""
    found: dict[str, dict[str, float]] = {}
    makers = networks(name)
    for kind, capacity, network in makers:
        if kind not in OURS:
            break
        weights = sum(tensor.nbytes for tensor in network.state_dict().values()) / 2**20
        found[f"{kind} {capacity:g}"] = {
            str(batch): weights + _grown_by(network, torch.randn(batch, *INPUT_SIZE))
            for batch in TURNS
        }
    return found


@torch.inference_mode()
def _grown_by(network: nn.Module, images: torch.Tensor) -> float:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _memory("VmRSS")
    network(images)
    return _memory("VmHWM") - before


def _memory(key: str) -> float:
    """A line of /proc/self/status, in MiB."""
    return int(re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def main() -> None:
    """Measures and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--runtimes", nargs="+", default=list(RUNTIMES), choices=RUNTIMES)
    parser.add_argument("--again", action="store_true", help="also what the JSON has")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        print(json.dumps(measure_memory(arguments.networks[0])))
        return
    for name in arguments.networks:
        found = read_results("latency").get("networks", {}).get(name, {})
        measure(name, arguments.runtimes, found, arguments.again)


if __name__ == "__main__":
    main()
