"""Writes the pages and pictures of docs/ whose numbers come from benchmarks/results/.

.venv/bin/python benchmarks/tables.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from drawings.picture import Picture, is_current, write_picture
from pages.bytes_table import with_bytes
from pages.catalogue_table import with_catalogue
from pages.channel_table import with_networks
from pages.configs import configs_page
from pages.costs import costs_page
from pages.examples import fine_tune_page, keep_gallery_page
from pages.latency import latency_page, latency_pictures
from pages.method import method_pictures, with_study
from pages.pixels import with_pixels
from pages.readme import with_seeds
from prunnet_pml.evaluation import write_text
from results import read_results
from study_results import read_study

DOCS = Path(__file__).parent.parent / "docs"


def pages() -> dict[str, str]:
    """Every page by its name, as it should be for the results that are there."""
    study = read_study()
    again = [read_study(f"{folder}/study") for folder in ("again", "again-avx2")]
    return {
        "../README.md": with_seeds((DOCS / "../README.md").read_text("utf-8"), study["glyphs"]),
        "datasets/fashion-mnist.md": with_pixels(
            (DOCS / "datasets" / "fashion-mnist.md").read_text("utf-8"), read_results("pixels")
        ),
        "benchmarks.md": costs_page(),
        "keep-gallery.md": keep_gallery_page(),
        "fine-tune.md": fine_tune_page(),
        "method.md": with_study((DOCS / "method.md").read_text("utf-8"), study, *again),
        "targets.md": with_study((DOCS / "targets.md").read_text("utf-8"), study),
        "latency.md": latency_page(read_results("latency")),
        "configs.md": configs_page((DOCS / "configs.md").read_text("utf-8")),
        "channel.md": with_networks(
            (DOCS / "channel.md").read_text("utf-8"), read_results("channel")
        ),
        "hub.md": with_catalogue(
            with_bytes((DOCS / "hub.md").read_text("utf-8"), read_results("sizes"))
        ),
    }


def pictures() -> dict[str, Picture]:
    """Every picture by its name, with the numbers that it has to show."""
    return method_pictures(read_study()) | latency_pictures(read_results("latency"))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # there is no choice
    for name, text in pages().items():
        write_text(DOCS / name, text)
    for name, picture in pictures().items():
        if not is_current(DOCS / name, picture):
            write_picture(DOCS / name, picture)
