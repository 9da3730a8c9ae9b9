"""README's sentence on the seeds beside the one that it shows."""

from __future__ import annotations

from collections.abc import Mapping

from pages.marks import filled
from pages.numbers import spread
from study_results import Runs


def with_seeds(readme: str, glyphs: Mapping[str, Runs]) -> str:
    """The page with what the default finds on the seeds of the study."""
    ours = glyphs["prunnet-default"]
    found = " and ".join(spread(ours.cell(capacity, 1.0)) for capacity in (1.0, 0.2))
    text = (
        f"That is one run, of seed 0. On the {len(ours.seeds)} seeds of the study the dense "
        f"network and 20% of it find {found}\n(± half of the way from the lowest to the highest).\n"
    )
    return filled(readme, {"seeds": text})
