"""The section "Bytes" of docs/hub.md, from what ``benchmarks/sizes.py`` measured."""

from __future__ import annotations

import re
from typing import Any

HEADING = "## Bytes"


def with_bytes(page: str, results: dict[str, Any]) -> str:
    """The page with its section "Bytes" as the results are."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    return "".join(f"{_section(results)}\n" if part.startswith(HEADING) else part for part in parts)


def _section(results: dict[str, Any]) -> str:
    networks = results["networks"]
    capacities = list(next(iter(networks.values()))["saved"]["float32"]["capacities"])
    heads = " | ".join(f"{float(c):.0%}" for c in capacities)
    channel = {name: n for name, n in networks.items() if n["granularity"] == "channel"}
    shares = [
        found["bytes"] / network["network_bytes"][c]
        for network in channel.values()
        for c, found in network["saved"]["float32"]["capacities"].items()
    ]
    lines = [
        f"| network | stored as | {heads} | prunable | save |",
        f"| --- | --- |{' ---: |' * (len(capacities) + 2)}",
    ]
    for name, network in networks.items():
        for precision, saved in network["saved"].items():
            cells = " | ".join(_mb(c["bytes"]) for c in saved["capacities"].values())
            lines.append(
                f"| {name} | {precision} | {cells} | {_mb(saved['prunable_bytes'])} | "
                f"{saved['save_s']:.1f} s |"
            )
    sizes = [
        "| network | dense float32 | not scored | 20% of dense | 40% | 60% | 80% | "
        "peak at 20% | peak at 100% |",
        f"| --- |{' ---: |' * 8}",
    ]
    for name, network in networks.items():
        found = network["saved"]["float32"]["capacities"]
        cells = " | ".join(
            f"{found[c]['bytes'] / network['dense_bytes']:.3f}"
            for c in ("0.2", "0.4", "0.6", "0.8")
        )
        peaks = " | ".join(_mb(peak) for peak in network["peak_bytes"].values())
        sizes.append(
            f"| {name} | {_mb(network['dense_bytes'])} | {_mb(network['unscored_bytes'])} | "
            f"{cells} | {peaks} |"
        )
    return (
        f"{HEADING}\n\nMegabytes (10^6) to have a capacity, `config.json` included. The row of a "
        "network grows by what the next capacity\nadds, and that is what `upgrade` downloads. "
        "*Prunable* is everything with its scores: float32 beside float32, a\nbyte each beside "
        "float16; *save* is how long `save_pretrained` takes.\n\n"
        + "\n".join(lines)
        + "\n\nA capacity c of float32 costs at most c + 1/32 of the dense bytes and 2%: a bit a "
        "weight for the mask, and names.\nWhat is not scored (embedding head, depthwise "
        "convolutions, norms, biases) comes in full with the first capacity; where that\nis more "
        "than a few percent, as in a small network with a wide embedding, it comes on top. *Peak* "
        "is what a process\ngrows by while it loads, the network that it ends with included: the "
        "bands are read tensor by tensor, the dense file never.\nBoth in megabytes, too.\n\n"
        + "\n".join(sizes)
        + "\n\nA capacity between two bands downloads the larger one and its scores: choose "
        "`capacities` when you save. Where hidden units\nare scored ("
        + ", ".join(f"*{name}*" for name in channel)
        + f"), a capacity of float32 costs {100 * min(shares):.0f}% "
        f"to {100 * max(shares):.0f}% of what the smaller network\nholds; its peak is lower, as "
        "the dense network is never built. Measured by\n"
        "`benchmarks/sizes.py` on untrained networks; written by `benchmarks/tables.py`.\n"
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.2f}" if size < 1e7 else f"{size / 1e6:.1f}"
