"""The published results of the study are of the methods as they are now."""

from __future__ import annotations

from pathlib import Path


def test_results_are_of_the_settings_that_the_methods_have_now(benchmarks: Path) -> None:
    from methods import METHODS, VARIANTS
    from results import read_result
    from study_files import name_of_run

    methods, folder = METHODS | VARIANTS, benchmarks / "results"
    files = sorted((folder / "study").glob("*/*.json"))
    found = {file: read_result(file) for file in files}
    assert files == [
        folder / f"{name_of_run(d['data'], d['method'], d['seed'])}.json" for d in found.values()
    ]
    assert files == [
        file
        for file, d in found.items()
        if d["recipe"]["settings"] == methods[d["method"]].settings
    ]
    assert files
