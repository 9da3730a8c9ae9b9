"""docs/latency.md: how much faster subnetworks run, and what else they take."""

from __future__ import annotations

from typing import Any

from drawings.latencies import RUNTIMES, draw_latencies
from drawings.picture import Picture
from pages.not_yet import NOT_YET
from pages.numbers import NONE, table

DENSE = "dense 1"
TARGETED = "channel 0.2"
PICTURE = "latency.png"
CAPACITIES = (0.2, 0.4, 0.6, 0.8)


def latency_page(results: dict[str, Any]) -> str:
    """The page, as it should be for the results that are there."""
    text = (
        "# How fast a capacity is\n\n"
        'A subnetwork of granularity `"channel"` ([channel.md](channel.md)) against the dense '
        "network that it is cut from: processor\ntime of a forward on one thread of a CPU, in "
        "turns within one process, the median of the turns' ratios.\n\n"
    )
    if not results:
        return text + NOT_YET
    networks, targets = results["networks"], results["targets"]
    turns = ", ".join(f"{n} turns at batch {batch}" for batch, n in results["turns"].items())
    return (
        f"{text}Images of {results['pixels']} px, {turns}; weights are untrained, which changes no "
        f"time.\n{_measured_with(results)}\n\n"
        f"![Latency over capacity, for every runtime]({PICTURE})\n\n"
        "## At 20%\n\n"
        f"Targets: MACs at most {targets['macs']:.2f}, latency at most {targets['latency']:.2f} of "
        "the dense network's; **bold** is what misses\nits target. In brackets the lowest and the "
        "highest of the turns.\n\n"
        f"{_targets(networks, targets)}\n"
        "*Eager* is torch as it comes. *Tuned* is torch with "
        "`network.to(memory_format=torch.channels_last)`, images likewise, in a\nprocess that "
        "keeps the memory it freed, as with jemalloc, or here with glibc's "
        "`MALLOC_MMAP_MAX_=0` and\n`MALLOC_TRIM_THRESHOLD_=1099511627776`: ResNets of "
        "batch 32 gain most. *Compile* is\n`torch.compile` for this "
        "batch size, in such a process; *ONNX* is ONNX Runtime on what `export_onnx` writes.\n\n"
        "## All capacities\n\n"
        f"{_capacities(networks)}\n"
        "## Side by side at 20%\n\n"
        'Batch 1. *Zeros* is granularity `"weight"`: as many weights, in tensors of the dense '
        "shapes, so its time is the dense\nnetwork's. *Torch-Pruning* is its magnitude pruning "
        "with default settings, without training, to the same MACs: it\nnarrows residual streams "
        "too, which subnetworks that share an embedding keep. *Slimmable* is the first "
        "sqrt(c) of\nall channels, for networks without biases.\n\n"
        f"{_side_by_side(networks)}\n"
        "## Memory\n\n"
        "Weights and what a forward adds at its peak, in MiB, in torch as it is.\n\n"
        f"{_memory(networks)}\n"
        "## What does not shrink\n\n"
        "Time falls less than MACs where a network spends it on what stays whole: the stem, "
        "downsampling, norms and activations of\nthe residual stream. In eager torch that is "
        "most of all the max pooling of a ResNet's stem, which is slow unless channels\nare "
        "innermost, and at large batches the page faults of memory that glibc gave back to the "
        "system after every layer;\ntuning takes away both. What is left are norms that are "
        "bound by memory; compilers fold them into convolutions.\n\n"
        "Odd widths may cost kernels something too. `round_to=8`, side by side in the tables, has "
        "as many MACs: resnet50 gains a\nlittle by it in channels last and ONNX Runtime, resnet18 "
        "nothing.\n\n"
        "Written by `benchmarks/tables.py` from `benchmarks/results/latency.json`, which is "
        "`python benchmarks/latency.py`.\n"
    )


def latency_pictures(results: dict[str, Any]) -> dict[str, Picture]:
    """The picture of the page."""
    panels: dict[str, dict[str, list[list[float]]]] = {}
    for name, found in results.get("networks", {}).items():
        panels[name] = {}
        for runtime in RUNTIMES:
            measured = found.get(runtime, {}).get("1")
            if measured:
                points = [
                    [c, measured[f"channel {c:g}"]["ratio"]]
                    for c in CAPACITIES
                    if f"channel {c:g}" in measured
                ]
                panels[name][runtime] = [*points, [1.0, 1.0]]
        macs = [[c, _share(found, f"channel {c:g}", "macs")] for c in CAPACITIES]
        panels[name]["macs"] = [*macs, [1.0, 1.0]]
    return {PICTURE: Picture(panels, draw_latencies)} if panels else {}


def _share(found: dict[str, Any], key: str, size: str) -> float:
    share: float = found["sizes"][key][size] / found["sizes"][DENSE][size]
    return share


def _columns(networks: dict[str, Any]) -> list[tuple[str, str]]:
    """Runtimes and batch sizes that were measured, in the order of the legend."""
    return [
        (runtime, batch)
        for runtime in RUNTIMES
        for batch in ("1", "32")
        if any(batch in found.get(runtime, {}) for found in networks.values())
    ]


def _measured_with(results: dict[str, Any]) -> str:
    """The versions and the machine, as far as they were written down."""
    names = {"torch": "torch", "onnxruntime": "ONNX Runtime"}
    versions = [f"{name} {results[key]}" for key, name in names.items() if key in results]
    machine = results.get("cpu", f"a CPU of type {results['machine']}")
    return f"Measured with {' and '.join(versions)} on {machine}."


def _targets(networks: dict[str, Any], targets: dict[str, float]) -> str:
    columns, bound = _columns(networks), targets["latency"]
    heads = ["network", "MACs", *(f"{RUNTIMES[runtime]}, {batch}" for runtime, batch in columns)]
    rows = [
        [
            name,
            _marked(_share(found, TARGETED, "macs"), targets["macs"]),
            *(_range(found.get(runtime, {}).get(batch), bound) for runtime, batch in columns),
        ]
        for name, found in networks.items()
    ]
    return table(heads, rows)


def _marked(share: float, target: float) -> str:
    """A share, bold where it is above its target."""
    return f"**{share:.3f}**" if share > target else f"{share:.3f}"


def _range(measured: dict[str, Any] | None, target: float) -> str:
    if not measured:
        return NONE
    one = measured[TARGETED]
    bounds = f"({one['ratio_min']:.2f} to {one['ratio_max']:.2f})"
    return f"{_marked(one['ratio'], target)} {bounds}"


def _capacities(networks: dict[str, Any]) -> str:
    columns = _columns(networks)
    heads = ["network", "capacity", "parameters", "MACs", "file, MB"]
    heads += [f"{RUNTIMES[runtime]}, {batch}" for runtime, batch in columns]
    rows = []
    for name, found in networks.items():
        for key in (DENSE, *(f"channel {c:g}" for c in reversed(CAPACITIES))):
            sizes, capacity = found["sizes"][key], float(key.split()[-1])
            dense = key == DENSE
            times = []
            for runtime, batch in columns:
                one = found.get(runtime, {}).get(batch, {}).get(key)
                times.append(
                    NONE
                    if not one
                    else f"{one['milliseconds']:.0f} ms"
                    if dense
                    else f"{one['ratio']:.2f}"
                )
            shares = (
                [f"{sizes['parameters'] / 1e6:.2f} M", f"{sizes['macs'] / 1e6:.0f} M"]
                if dense
                else [f"{_share(found, key, size):.2f}" for size in ("parameters", "macs")]
            )
            rows.append(
                [name, f"{capacity:.0%}", *shares, f"{sizes['file_bytes'] / 1e6:.1f}", *times]
            )
    return table(heads, rows)


def _side_by_side(networks: dict[str, Any]) -> str:
    columns = [runtime for runtime, batch in _columns(networks) if batch == "1"]
    columns = [runtime for runtime in columns if runtime != "compile"]
    heads = ["network", "kind", "parameters", "MACs", *(RUNTIMES[runtime] for runtime in columns)]
    rows = []
    for name, found in networks.items():
        for key in found["sizes"]:
            if key.endswith(" 0.2"):
                ratios = [
                    f"{one['ratio']:.2f}"
                    if (one := found.get(runtime, {}).get("1", {}).get(key))
                    else NONE
                    for runtime in columns
                ]
                shares = [f"{_share(found, key, size):.2f}" for size in ("parameters", "macs")]
                rows.append([name, key.removesuffix(" 0.2"), *shares, *ratios])
    return table(heads, rows, texts=2)


def _memory(networks: dict[str, Any]) -> str:
    heads = ["network", "batch", "dense", *(f"{c:.0%}" for c in reversed(CAPACITIES))]
    rows = [
        [
            name,
            batch,
            *(
                f"{found['memory'][key][batch]:.0f}"
                for key in (DENSE, *(f"channel {c:g}" for c in reversed(CAPACITIES)))
            ),
        ]
        for name, found in networks.items()
        if "memory" in found
        for batch in ("1", "32")
    ]
    return table(heads, rows)
