"""Puts the demo's numbers and pictures where README shows them.

    make demo && .venv/bin/python benchmarks/publish_demo.py

Copies what README shows from demo-output/ to docs/, and writes the table between README's markers.
A test checks that README and docs/demo.json agree.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from prunnet_pml.demo.compare import Comparison
from prunnet_pml.demo.report import markdown
from prunnet_pml.evaluation import CompatibilityMatrix, write_text

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- demo-table:begin -->\n", "<!-- demo-table:end -->"
COPIES = {
    "results.json": "demo.json",
    "curve.png": "demo-capacity-curve.png",
    "matrix.png": "demo-matrix.png",
    "matches.png": "demo-matches.png",
}


def with_table(readme: str, results: str) -> str:
    """README with the table of the given results between its markers."""
    document = json.loads(results)
    comparison = Comparison(
        *(
            CompatibilityMatrix.from_json(json.dumps(document[key]))
            for key in ("prunable", "magnitude_pruned", "second_network")
        )
    )
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{markdown(comparison)}{END}{after}"


def main() -> None:
    """Copies the files and rewrites README."""
    docs = ROOT / "docs"
    docs.mkdir(exist_ok=True)
    for source, target in COPIES.items():
        shutil.copyfile(ROOT / "demo-output" / source, docs / target)
    readme = ROOT / "README.md"
    results = (docs / "demo.json").read_text(encoding="utf-8")
    write_text(readme, with_table(readme.read_text(encoding="utf-8"), results))


if __name__ == "__main__":
    main()
