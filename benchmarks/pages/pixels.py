"""What pixels find on Fashion-MNIST, in docs/datasets/fashion-mnist.md."""

from __future__ import annotations

from typing import Any

from pages.marks import filled
from pages.numbers import NONE, table


def with_pixels(page: str, results: dict[str, Any]) -> str:
    """The page with the table of what ``benchmarks/pixels.py`` measured."""
    rows = [
        [
            "five classes held out",
            *_found(results["held_out"]),
            _percent(results["held_out_full_map"]),
        ],
        ["all ten classes", *_found(results["all_classes"]), NONE],
    ]
    return filled(page, {"pixels": table(["test images", "Recall@1", "mAP@R", "full mAP"], rows)})


def _found(metrics: dict[str, float]) -> list[str]:
    return [_percent(metrics[name]) for name in ("recall_at_1", "mean_average_precision_at_r")]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
