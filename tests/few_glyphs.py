"""A small Glyphs for the examples. As a script it runs one: few_glyphs.py EXAMPLE [ARGUMENTS]."""

import runpy
import sys
from typing import Any

import prunnet_pml.datasets


class FewGlyphs(prunnet_pml.datasets.Glyphs):
    """Twelve characters of each split: an evaluation of seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        kept = self.labels < 12
        self.images, self.labels = self.images[kept], self.labels[kept]
        self.characters = self.characters[:12]


if __name__ == "__main__":
    prunnet_pml.datasets.Glyphs = FewGlyphs
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
