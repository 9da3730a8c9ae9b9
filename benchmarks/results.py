"""Where benchmarks leave their numbers."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent / "results"


def read_results(name: str) -> dict[str, Any]:
    """What ``write_results`` wrote under this name, or nothing."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_results(name: str, results: dict[str, Any]) -> None:
    """Writes ``benchmarks/results/<name>.json`` and prints it; ``name`` may have folders in it."""
    document = {"torch": torch.__version__, "machine": platform.machine(), **results}
    text = json.dumps(document, indent=2)
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    print(text)
