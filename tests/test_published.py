"""Numbers that README shows are those of the JSON beside it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def with_table(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    sys.modules.pop("publish_demo", None)
    from publish_demo import with_table

    return with_table


def test_the_table_in_readme_is_the_one_of_the_json(with_table: object) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "docs" / "demo.json").read_text(encoding="utf-8")
    assert with_table(readme, results) == readme, "run benchmarks/publish_demo.py"


def test_other_results_give_another_table(with_table: object) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "docs" / "demo.json").read_text(encoding="utf-8")
    document = json.loads(results)
    document["prunable"]["values"]["recall_at_1"][0][0] = 0.125
    assert "| 12.5 |" in with_table(readme, json.dumps(document))


def test_pages_are_those_of_their_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from tables import pages

    for name, page in pages().items():
        found = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert found == page, f"docs/{name}: run benchmarks/tables.py"


def test_pictures_show_the_numbers_of_their_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from drawings.picture import is_current
    from tables import pictures

    for name, picture in pictures().items():
        assert is_current(ROOT / "docs" / name, picture), f"docs/{name}: run benchmarks/tables.py"
