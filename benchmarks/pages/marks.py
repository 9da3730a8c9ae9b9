"""What stands between marks in a page that is written by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping

_BLOCK = re.compile(r"(<!-- ([\w-]+): by benchmarks/tables.py -->\n).*?(<!-- end of \2 -->)", re.S)


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each text between the marks of its name; not all need to be in the page.

    Raises:
        ValueError: If there are marks without a text.
    """
    if strange := {found[2] for found in _BLOCK.finditer(page)} - set(blocks):
        raise ValueError(f"Marks should be among {', '.join(blocks)}. Found {strange}.")
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n{found[3]}", page)
