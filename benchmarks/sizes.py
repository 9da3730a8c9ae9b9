"""What a capacity costs to download, to load, and in memory.

python benchmarks/sizes.py      # writes benchmarks/results/sizes.json
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import timm
import torch

import prunnet_pml as prunnet
from prunnet_pml.hub import Manifest, from_pretrained, save_pretrained
from results import write_results

NETWORKS = {  # embedding sizes, 0 is a trunk that ends in its pooled features; granularities
    "resnet18": (128, "weight"),
    "mobilenetv2_100": (0, "weight"),
    "mobilenetv2_100, embedding 128": (128, "weight"),
    "vit_small_patch16_224": (128, "weight"),
    "resnet18, channel": (128, "channel"),
    "mobilenetv2_100, channel": (0, "channel"),
    "vit_small_patch16_224, channel": (128, "channel"),
}
SAVED = {"float32": "float32", "float16": "uint8"}  # precision: scores
CAPACITIES = (0.2, 0.4, 0.6, 0.8, 1.0)
ALLOWED = 1 / 32 + 0.02
"""Of the dense bytes, what a capacity may cost beyond its share: a bit a weight, and names."""
ALLOWED_OF_UNITS = 0.02
"""Of the dense bytes, what names and norm statistics may cost beyond the smaller network."""
PEAKS = (0.2, 1.0)
"""Capacities at which memory is measured, each in a process of its own."""


def main() -> None:
    """Measures and writes the JSON."""
    torch.set_num_threads(1)
    networks = {}
    for name, (embedding, granularity) in NETWORKS.items():
        torch.manual_seed(0)
        network = timm.create_model(name.partition(",")[0], num_classes=embedding)
        networks[name] = _measured(prunnet.make_prunable(network, granularity=granularity))
    write_results("sizes", {"allowed_beyond_capacity": ALLOWED, "networks": networks})


def _measured(model: torch.nn.Module) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        saved = {}
        for precision, scores in SAVED.items():
            folder = Path(name) / precision
            start = time.perf_counter()
            manifest = save_pretrained(model, folder, precision=precision, scores=scores)
            seconds = time.perf_counter() - start
            config = (folder / "config.json").stat().st_size
            saved[precision] = {
                "scores": scores,
                "save_s": seconds,
                "prunable_bytes": config + manifest.bytes_for(None),
                "capacities": {f"{c:g}": _loaded(folder, manifest, c) for c in CAPACITIES},
            }
        sizes = {
            kind: sum(
                4 * math.prod(record.shape)
                for record in manifest.tensors.values()
                if record.dtype.is_floating_point
                and (record.kind in ("scored", "cut")) == (kind == "scored")
            )
            for kind in ("scored", "others")
        }
        results = {
            "granularity": manifest.granularity,
            "network_bytes": {f"{c:g}": _network_bytes(model, c) for c in CAPACITIES},
            "dense_bytes": sum(sizes.values()),
            "unscored_bytes": sizes["others"],
            "saved": saved,
            "peak_bytes": {f"{c:g}": _peak(Path(name) / "float32", c) for c in PEAKS},
        }
    _check(results)
    return results


def _network_bytes(model: torch.nn.Module, capacity: float) -> int:
    """Of a subnetwork's floating-point tensors, as it runs."""
    state = prunnet.prune(model, capacity).state_dict().values()
    return sum(value.nbytes for value in state if value.is_floating_point())


def _loaded(folder: Path, manifest: Manifest, capacity: float) -> dict[str, Any]:
    start = time.perf_counter()
    from_pretrained(folder, capacity)
    return {
        "bytes": (folder / "config.json").stat().st_size + manifest.bytes_for(capacity),
        "load_s": time.perf_counter() - start,
    }


def _check(results: dict[str, Any]) -> None:
    """What is not scored, such as the embedding head, comes in full with every capacity."""
    dense, unscored = results["dense_bytes"], results["unscored_bytes"]
    for saved in results["saved"].values():
        for capacity, found in saved["capacities"].items():
            c = float(capacity)
            allowed = (c + ALLOWED) * dense + (1 - c) * unscored
            if results["granularity"] == "channel":
                allowed = results["network_bytes"][capacity] + ALLOWED_OF_UNITS * dense
            if found["bytes"] > allowed:
                raise ValueError(f"{c:.0%} may cost {allowed:.0f} bytes. Found {found['bytes']}.")


def _peak(folder: Path, capacity: float) -> int:
    """How much a process grows at most while it loads, the network that it ends with included."""
    command = [sys.executable, __file__, str(folder), str(capacity)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(folder: str, capacity: float) -> None:
    """Loads in this process, and prints how much it grew at most (on Linux)."""
    torch.set_num_threads(1)
    timm.create_model("test_resnet")  # what is imported on the way is here from now on
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _memory("VmRSS")
    from_pretrained(folder, capacity)
    print(_memory("VmHWM") - before)


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(key)]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], float(sys.argv[2]))
    else:
        main()
