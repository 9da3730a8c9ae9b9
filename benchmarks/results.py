"""Where benchmarks leave their numbers."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path
from typing import Any

import torch

from prunnet_pml.evaluation import write_text

FOLDER = Path(__file__).parent / "results"
_NUMBERS = re.compile(r"\[\s+([-+.\w,\s]*?)\s+\]")


def read_results(name: str) -> dict[str, Any]:
    """What ``write_results`` wrote under this name, or nothing."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_results(name: str, results: dict[str, Any]) -> None:
    """Writes ``benchmarks/results/<name>.json``, whole or not at all, and prints it.

    ``name`` may have folders in it. Lists of numbers stand on one line.
    """
    document = {"torch": torch.__version__, "machine": platform.machine(), **results}
    text = json.dumps(document, indent=2)
    text = _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    write_text(FOLDER / f"{name}.json", text + "\n")
    print(text)
