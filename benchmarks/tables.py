"""Writes the pages of docs/ whose numbers come from the JSON in benchmarks/results/.

.venv/bin/python benchmarks/tables.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from channel_table import with_networks
from prunnet_pml.evaluation import write_text
from results import FOLDER, read_results
from size_table import with_bytes

DOCS = Path(__file__).parent.parent / "docs"
NOT_YET = "Not measured yet.\n"


def pages() -> dict[str, str]:
    """Every page by its name, as it should be for the results that are there."""
    return {
        "benchmarks.md": (
            "# What it costs\n\n"
            "Each figure is a ratio within one run, on one thread of a CPU; written by "
            "`benchmarks/tables.py` from\nthe JSON that the scripts named below leave in "
            "`benchmarks/results/`.\n\n"
            f"{_step(read_results('step'))}\n{_prune(read_results('prune'))}\n"
            f"{_evaluate(read_results('evaluate'))}"
        ),
        "keep-gallery.md": _keep_gallery(read_results("keep_gallery")),
        "fine-tune.md": _fine_tune(read_results("fine_tune")),
        "methods.md": _methods(),
        "configs.md": _configs(),
        "channel.md": with_networks(
            (DOCS / "channel.md").read_text("utf-8"), read_results("channel")
        ),
        "hub.md": with_bytes((DOCS / "hub.md").read_text("utf-8"), read_results("sizes")),
    }


def _step(results: dict[str, Any]) -> str:
    lines = [
        "## A training step (`benchmarks/step.py`)\n",
        "One step of the dense network and four subnetworks, against five steps of the same dense "
        "network\n(target: at most 1.10), and peak memory, against 1.1 x (dense peak + five sets "
        "of gradients).\n",
        "| network | batch | pixels | time / five dense steps | min to max | peak / dense | "
        "peak / target |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {r['batch']} | {r['pixels']} | {r['ratio']:.3f} | "
        f"{r['ratio_min']:.3f} to {r['ratio_max']:.3f} | {r['peak_over_dense']:.2f} | "
        f"{r['peak_over_target']:.2f} |"
        for name, r in results["networks"].items()
    ]
    return "\n".join(lines) + "\n"


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


def _keep_gallery(results: dict[str, Any]) -> str:
    text = """# Keep the gallery that you have

You run a dense network, trained without prunnet_pml, and it has indexed your gallery.
[examples/keep_gallery.py](../examples/keep_gallery.py) makes that network prunable: its frozen
copy is the anchor, and for some steps every capacity learns to embed an image where the anchor
does. No labels are needed, and nothing is indexed again.

"""
    if not results:
        return text + NOT_YET
    recalls = results["recall_at_1_in_the_old_gallery"]
    lines = [
        "| query capacity | anchored | magnitude-pruned, norms recalibrated |",
        "| ---: | ---: | ---: |",
    ]
    lines += [
        f"| {float(c):.0%} | {100 * recall:.1f} | {100 * recalls['magnitude_pruned'][c]:.1f} |"
        for c, recall in recalls["anchored"].items()
    ]
    own = recalls["magnitude_pruned"]["1"]
    return (
        f"{text}Recall@1 in percent in the OLD gallery, on characters never seen in training. The "
        f"dense network trained for\n{results['dense_steps']} steps and finds {100 * own:.1f} in "
        f"its own gallery; {results['steps']} anchored steps followed.\n\n"
        + "\n".join(lines)
        + "\n\nWritten by `benchmarks/tables.py` from `benchmarks/results/keep_gallery.json`, "
        "which is\n`python examples/keep_gallery.py --output "
        "benchmarks/results/keep_gallery.json`.\n"
    )


def _fine_tune(results: dict[str, Any]) -> str:
    text = """# Fine-tune a pretrained backbone

[examples/fine_tune.py](../examples/fine_tune.py) fine-tunes timm's `mobilenetv2_100`, pretrained on
ImageNet, on glyphs of 64 px: scores start from the magnitudes of the pretrained weights.

"""
    if not results:
        return text + NOT_YET
    return (
        f"{text}After {results['steps']} steps, Recall@1 in percent on characters never seen in "
        f"training:\n\n{_matrix(results['matrix'])}\n\n"
        "So few steps are not enough for the smallest capacity: 20% of this network, as magnitude "
        "leaves it, is far\nfrom where it has to get.\n\n"
        "Written by `benchmarks/tables.py` from `benchmarks/results/fine_tune.json`.\n"
    )


def _matrix(matrix: dict[str, Any]) -> str:
    galleries = [f"{c:.0%}" for c in matrix["gallery_capacities"]]
    lines = [
        f"| query \\ gallery | {' | '.join(galleries)} |",
        f"| ---: |{' ---: |' * len(galleries)}",
    ]
    for capacity, row in zip(
        matrix["query_capacities"], matrix["values"]["recall_at_1"], strict=True
    ):
        lines.append(f"| {capacity:.0%} | {' | '.join(f'{100 * v:.1f}' for v in row)} |")
    return "\n".join(lines)


def _dense_map(matrix: dict[str, Any]) -> float:
    dense: float = matrix["values"]["mean_average_precision_at_r"][0][0]
    return 100 * dense


def _methods() -> str:
    text = """# The methods, side by side

Every method trains the same narrow ResNet-10 on the same glyphs for as many steps
(`benchmarks/method.py NAME`). A first look, of one seed; differences of a point may be noise.

"""
    files = sorted((FOLDER / "methods").glob("*.json"))
    found = [read_results(f"methods/{file.stem}") for file in files]
    if len({str(results["recipe"]) for results in found}) > 1:
        raise ValueError("benchmarks/results/methods should hold results of one recipe and seed.")
    if not found:
        return text + NOT_YET
    lines = [
        "| method | dense self | 80% to dense | 60% | 40% | 20% | 20% self | training, s |",
        "| --- |" + " ---: |" * 7,
    ]
    for results in sorted(found, key=lambda r: r["matrix"]["values"]["recall_at_1"][-1][0]):
        values = results["matrix"]["values"]["recall_at_1"]  # [query, gallery], dense first
        cells = [*(row[0] for row in values), values[-1][-1]]
        numbers = " | ".join(f"{100 * value:.1f}" for value in cells)
        lines.append(f"| {results['method']} | {numbers} | {results['training_s']:.0f} |")
    steps = found[0]["recipe"]["steps"]
    return (
        f"{text}Recall@1 in percent on characters never seen in training, {steps} steps; "
        "`python benchmarks/method.py --list` says\nwhat each method is.\n\n"
        + "\n".join(lines)
        + "\n\nWritten by `benchmarks/tables.py` from `benchmarks/results/methods/`.\n"
    )


def _configs() -> str:
    """The page as it is, with the results that are there between its marks."""
    page = (DOCS / "configs.md").read_text(encoding="utf-8")
    sections = []
    for name, data in {
        "glyphs_resnet10": "letters never seen in training",
        "fashion_mnist_resnet10": "its ten classes, seen in training (pixels: 81.5, mAP@R 33.1)",
    }.items():
        results = read_results(f"config_{name}")
        text = (
            f"Recall@1 in percent on {data}.\n"
            f"mAP@R of the dense network: {_dense_map(results['matrix']):.1f}. "
            f"{results['iterations']} iterations; with data and validation "
            f"{results['processor_s'] / 60:.1f} minutes of\nprocessor time on "
            f"{results['threads']} thread.\n\n{_matrix(results['matrix'])}\n"
            if results
            else NOT_YET
        )
        sections.append(f"`{name}`: {text}")
    before, start, rest = page.partition("<!-- results: by benchmarks/tables.py -->\n")
    _, end, after = rest.partition("<!-- end of results -->")
    return before + start + "\n" + "\n".join(sections) + "\n" + end + after


if __name__ == "__main__":
    for name, text in pages().items():
        write_text(DOCS / name, text)
