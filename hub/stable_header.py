"""The same network saved twice is the same bytes, so a push sends only what has changed."""

from __future__ import annotations

import json
from pathlib import Path

_METADATA = "__metadata__"


def sort_metadata(file: Path) -> None:
    """Sorts the metadata of a safetensors file, in place; the library writes it in random order."""
    with file.open("r+b") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        header[_METADATA] = dict(sorted(header[_METADATA].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        stream.seek(8)
        stream.write(text.ljust(length))  # the order changes, not the length
