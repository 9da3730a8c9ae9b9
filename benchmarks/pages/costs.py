"""docs/benchmarks.md: what training, pruning and evaluating cost."""

from __future__ import annotations

from typing import Any

from pages.not_yet import NOT_YET
from results import read_results


def costs_page() -> str:
    """The page, as it should be for the results that are there."""
    return (
        "# What it costs\n\n"
        "Each figure is a ratio within one run, on one thread of a CPU where no GPU is named; "
        "written by\n`benchmarks/tables.py` from the JSON that the scripts named below leave in "
        "`benchmarks/results/`.\n\n"
        f"{_step(read_results('step'))}\n{_drawn_step(read_results('step_drawn'))}\n"
        f"{_step_on_gpu(read_results('step_gpu'))}\n{_prune(read_results('prune'))}\n"
        f"{_evaluate(read_results('evaluate'))}"
    )


def _step(results: dict[str, Any]) -> str:
    lines = [
        "## A training step of all capacities (`benchmarks/step.py`)\n",
        "One step of the dense network and four subnetworks (`subnetworks_per_step=None`), against "
        "five steps of\nthe same dense network (target: at most 1.10), and peak memory, against "
        f"1.1 x (dense peak + five sets of\ngradients).\n{_above_target(results)}\n",
    ]
    return "\n".join([*lines, *_networks(results)]) + "\n"


def _drawn_step(results: dict[str, Any]) -> str:
    heading = "## A training step by default (`benchmarks/step.py --drawn`)\n\n"
    if not results:
        return heading + NOT_YET
    about = (
        "The dense network and one subnetwork, drawn for the step, against two dense steps, and "
        f"1.1 x (dense peak +\ntwo sets of gradients).\n{_above_target(results)}\n"
    )
    return heading + "\n".join([about, *_networks(results, "two")]) + "\n"


def _step_on_gpu(results: dict[str, Any]) -> str:
    heading = "## A step of all capacities on a GPU (`benchmarks/step.py --device cuda`)\n\n"
    if not results:
        return heading + NOT_YET
    about = (
        f"{results['device']}, torch {results['torch']}, products in TF32; peak memory is what is "
        f"allocated there.\n{_above_target(results)}\n"
    )
    return heading + "\n".join([about, *_networks(results)]) + "\n"


def _above_target(results: dict[str, Any]) -> str:
    ratios = {name: r["ratio"] for name, r in results["networks"].items()}
    missed = ", ".join(name for name, ratio in ratios.items() if ratio > results["target_ratio"])
    return f"Above the target: {missed or 'none'}."


def _networks(results: dict[str, Any], passes: str = "five") -> list[str]:
    return [
        f"| network | batch | pixels | time / {passes} dense steps | min to max | peak / dense | "
        "peak / target |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {r['batch']} | {r['pixels']} | {r['ratio']:.3f} | "
            f"{r['ratio_min']:.3f} to {r['ratio_max']:.3f} | {r['peak_over_dense']:.2f} | "
            f"{r['peak_over_target']:.2f} |"
            for name, r in results["networks"].items()
        ),
    ]


def _prune(results: dict[str, Any]) -> str:
    times = ", ".join(f"{float(c):.0%}: {s:.2f} s" for c, s in results["median_s"].items())
    return (
        "## Pruning (`benchmarks/prune.py`)\n\n"
        f"{results['network']} from prunable to plain, processor time: {times} (target: under 1 s)."
        "\n"
    )


def _evaluate(results: dict[str, Any]) -> str:
    heading = "## The full matrix (`benchmarks/evaluate.py`)\n\n"
    if not results:
        return heading + NOT_YET
    return (
        f"{heading}`evaluate` with {results['network']} on {results['images']} images of "
        f"{results['pixels']} px, five capacities against\nfive, over five embedding passes alone: "
        f"{results['ratio']:.3f} ({results['ratio_min']:.3f} to {results['ratio_max']:.3f}; "
        "target: at most 1.10).\n"
    )
