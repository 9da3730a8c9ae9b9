"""Writes the table of docs/configs.md: every bundled config, by the first line of its docstring.

.venv/bin/python tests/config_table.py
"""

from __future__ import annotations

import re
from pathlib import Path

from prunnet_pml.evaluation import write_text
from prunnet_pml.registry.mmengine.bundled_configs import bundled_configs

PAGE = Path(__file__).parent.parent / "docs" / "configs.md"
TABLE = re.compile(r"\| config \|.*?\n\n", re.DOTALL)


def table() -> str:
    rows = [f"| `{name}` | {line.rstrip('.')} |" for name, line in bundled_configs().items()]
    return "\n".join(["| config | what it is |", "| --- | --- |", *rows, "", ""])


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, TABLE.sub(lambda _: table(), page, count=1))
