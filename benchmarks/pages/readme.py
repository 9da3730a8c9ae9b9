"""README's sentence on the seeds beside the one that it shows."""

from __future__ import annotations

from collections.abc import Mapping

from pages.marks import filled
from pages.numbers import spread
from study_results import Runs


def with_seeds(readme: str, glyphs: Mapping[str, Runs]) -> str:
    """The page with what the default finds on the seeds of the study."""
    ours = glyphs["prunnet-default"]
    dense, at_20, at_10 = (spread(ours.cell(capacity, 1.0)) for capacity in (1.0, 0.2, 0.1))
    text = (
        f"That is one run, of seed 0. On the {len(ours.seeds)} seeds of the study the dense "
        f"network finds {dense}, 20% of it {at_20}\nand 10%, never trained, {at_10} "
        "(± half of the way from the lowest to the highest). Another machine rounds otherwise,\n"
        "and moves a run as another seed does.\n"
    )
    return filled(readme, {"seeds": text})
