"""Warnings that point at the user's line, however deep below it they arise.

(From Python 3.12 on ``skip_file_prefixes`` of ``warnings.warn`` would do.)
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_INSIDE = ("prunnet_pml", "torch")
"""Packages whose lines are not the user's: torch's schedulers and modules call ours."""


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns of the nearest line that is neither this package's nor torch's.

    Args:
        message: What it says.
        category: The warning's class.
    """
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame and str(frame.f_globals.get("__name__")).partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
