"""The tables of docs/channel.md, from what ``benchmarks/channel.py`` measured."""

from __future__ import annotations

from typing import Any

BEGIN, END = "<!-- sizes:begin -->\n", "<!-- sizes:end -->"


def with_networks(page: str, results: dict[str, Any]) -> str:
    """The page with its tables of networks as the results are."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + begin + _tables(results) + end + after


CAPACITIES = ("0.2", "0.4", "0.6", "0.8")
KINDS = ("exact", "multiples of 8")


def _tables(results: dict[str, Any]) -> str:
    rows = {
        **results["networks"],
        **{f"{name}, head scored": row for name, row in results["with_head_scored"].items()},
    }
    heads = ["network", "million parameters", "GMACs", "units, in groups", "parameters at 20%"]
    lines = _head([*heads, "MACs at 20%", "50%", "80%"])
    rounded = _head(["network", *(f"{float(c):.0%}, {kind}" for c in CAPACITIES for kind in KINDS)])
    more = 0.0
    for name, found in rows.items():
        exact, eights = (found[kind] for kind in KINDS)
        shares = [exact["0.2"]["parameters"], *(exact[c]["macs"] for c in ("0.2", "0.5", "0.8"))]
        lines.append(
            f"| {name} | {found['parameters'] / 1e6:.1f} | {found['macs'] / 1e9:.2f} | "
            f"{found['units']} in {found['groups']} | {_cells(shares)} |"
        )
        macs = [found[kind][c]["macs"] for c in CAPACITIES for kind in KINDS]
        rounded.append(f"| {name} | {_cells(macs)} |")
        more = max(more, *(eights[c]["macs"] - exact[c]["macs"] for c in CAPACITIES))
    return (
        "\n".join(lines) + f"\n\nWith an embedding of {results['embedding']}, at the pixels that "
        "timm trains at; shares of the dense network's parameters and\nmultiply-accumulates. What "
        "`round_to=8` makes of the latter, at the worst "
        f"{100 * more:.1f}% of the dense network's more:\n\n" + "\n".join(rounded) + "\n"
    )


def _head(names: list[str]) -> list[str]:
    return [f"| {' | '.join(names)} |", f"| --- |{' ---: |' * (len(names) - 1)}"]


def _cells(shares: list[float]) -> str:
    return " | ".join(f"{share:.3f}" for share in shares)
