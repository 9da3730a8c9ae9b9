"""Pictures whose files say which numbers they show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunnet_pml.evaluation.writing import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEY = "Description"


@dataclass(frozen=True)
class Picture:
    """Numbers and how they are drawn.

    Attributes:
        numbers: Plain data, all that the drawing depends on.
        draw: Makes the figure of them.
    """

    numbers: Any
    draw: Callable[[Any], Figure]

    @property
    def digest(self) -> str:
        """Of the numbers and of the drawing's name."""
        text = json.dumps([self.draw.__name__, self.numbers])
        return hashlib.sha256(text.encode()).hexdigest()


def write_picture(path: Path, picture: Picture) -> None:
    """Draws a picture into a PNG file, with the digest of its numbers in the file's text."""
    with replacing(path) as temporary:
        picture.draw(picture.numbers).savefig(
            temporary, dpi=110, metadata={_KEY: picture.digest, "Software": None}
        )


def is_current(path: Path, picture: Picture) -> bool:
    """Whether a file shows these numbers; nothing is drawn to find out."""
    from PIL import Image

    if not path.exists():
        return False
    with Image.open(path) as image:
        return bool(image.info.get(_KEY) == picture.digest)
