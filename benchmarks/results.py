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
    """What ``write_results`` wrote under this name, or nothing.

    Raises:
        ValueError: If something else stands there.
    """
    path = FOLDER / f"{name}.json"
    return read_result(path) if path.exists() else {}


def read_result(path: Path) -> dict[str, Any]:
    """A file that ``write_results`` wrote.

    Raises:
        ValueError: If something else, or a part of it, stands in it.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        raise ValueError(f"{path} should hold a result. Found no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} should hold a result. Found a {type(found).__name__}.")
    return found


def write_results(name: str, results: dict[str, Any]) -> None:
    """Writes ``benchmarks/results/<name>.json``, whole or not at all, and prints it.

    ``name`` may have folders in it. Lists of numbers stand on one line.
    """
    made_with = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),  # another set rounds otherwise
    }
    document = {**made_with, **results}
    text = json.dumps(document, indent=2)
    text = _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    write_text(FOLDER / f"{name}.json", text + "\n")
    print(text)
