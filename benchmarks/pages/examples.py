"""docs/keep-gallery.md and docs/fine-tune.md: what two of the examples measured."""

from __future__ import annotations

from pages.not_yet import NOT_YET
from pages.recall_table import recall_table
from results import read_results


def keep_gallery_page() -> str:
    """The page, as it should be for the results that are there."""
    results = read_results("keep_gallery")
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
        "| query capacity | anchored | magnitude-pruned |",
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
        f"its own gallery; {results['steps']} anchored steps followed.\n"
        "Norm statistics of all but the old network are exact, by `calibrate`.\n\n"
        + "\n".join(lines)
        + "\n\nWritten by `benchmarks/tables.py` from `benchmarks/results/keep_gallery.json`, "
        "which is\n`python examples/keep_gallery.py --output "
        "benchmarks/results/keep_gallery.json`.\n"
    )


def fine_tune_page() -> str:
    """The page, as it should be for the results that are there."""
    results = read_results("fine_tune")
    text = """# Fine-tune a pretrained backbone

[examples/fine_tune.py](../examples/fine_tune.py) fine-tunes timm's `mobilenetv2_100`, pretrained on
ImageNet, on glyphs of 64 px: scores start from the magnitudes of the pretrained weights. By default
these are timm's, downloaded; `--weights` takes others from a file.

"""
    if not results:
        return text + NOT_YET
    return (
        f"{text}After {results['steps']} steps from {results['weights']}, Recall@1 in percent on "
        f"characters never seen in training:\n\n{recall_table(results['matrix'])}\n\n"
        "The smallest capacity needs the most steps: 20% of this network, as magnitude leaves it, "
        "is far from where\nit has to get. Its norm statistics are exact: the script "
        "calibrates after training, [method.md](method.md)\nsays what that is worth.\n\n"
        "Written by `benchmarks/tables.py` from `benchmarks/results/fine_tune.json`, which is\n"
        "`python examples/fine_tune.py --weights FILE --output benchmarks/results/fine_tune.json`; "
        "[method.md](method.md#to-reproduce-a-row)\nsays where the file comes from.\n"
    )
