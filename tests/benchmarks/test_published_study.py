"""The published results of the study are of the methods as they are now."""

from __future__ import annotations

import json
from pathlib import Path


def test_results_are_of_the_settings_that_the_methods_have_now(benchmarks: Path) -> None:
    from methods import METHODS, VARIANTS

    methods = METHODS | VARIANTS
    files = sorted((benchmarks / "results" / "study").glob("*/*.json"))
    assert files
    of_another_recipe = []
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))
        assert file == file.parents[1] / found["data"] / f"{found['method']}-{found['seed']}.json"
        if found["recipe"]["settings"] != methods[found["method"]].settings:
            of_another_recipe.append(f"{file.parent.name}/{file.name}")
    assert not of_another_recipe
