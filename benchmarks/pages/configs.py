"""docs/configs.md: what the bundled configs came to, between marks in a page written by hand."""

from __future__ import annotations

from typing import Any

from pages.marks import filled
from pages.not_yet import NOT_YET
from pages.recall_table import recall_table
from results import read_results


def configs_page(page: str) -> str:
    """The page as it is, with the results that are there between its marks."""
    pixels = read_results("pixels")["all_classes"]
    by_pixels = (
        f"pixels: {100 * pixels['recall_at_1']:.1f}, mAP@R "
        f"{100 * pixels['mean_average_precision_at_r']:.1f}"
    )
    sections = []
    for name, data in {
        "glyphs_resnet10": "letters never seen in training",
        "fashion_mnist_resnet10": f"its ten classes, seen in training ({by_pixels})",
    }.items():
        results = read_results(f"config_{name}")
        text = (
            f"Recall@1 in percent on {data}.\n"
            f"mAP@R of the dense network: {_dense_map(results['matrix']):.1f}. "
            f"{results['iterations']} iterations; with data and validation "
            f"{results['processor_s'] / 60:.1f} minutes of\nprocessor time on "
            f"{results['threads']} thread.\n\n{recall_table(results['matrix'])}\n"
            if results
            else NOT_YET
        )
        sections.append(f"`{name}`: {text}")
    return filled(page, {"results": "\n".join(sections)})


def _dense_map(matrix: dict[str, Any]) -> float:
    dense: float = matrix["values"]["mean_average_precision_at_r"][0][0]
    return 100 * dense
