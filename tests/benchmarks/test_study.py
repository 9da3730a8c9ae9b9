"""The study makes every result once, and goes on where it stopped."""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import few_glyphs
import pytest
import torch
from torch import nn

from prunnet_pml.demo.recipe import Recipe


@pytest.fixture
def study(benchmarks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """The modules, with a small data set and a folder of their own."""
    import method
    import results
    import study
    import study_files
    import tasks

    def few(steps: int, seed: int, _: Path | None) -> tasks.Task:
        recipe = Recipe(steps=steps, seed=seed, batch_size=16, widths=(4, 8, 12, 16))
        return tasks.ResNetTask("glyphs", few_glyphs.FewGlyphs, recipe)

    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setitem(tasks.TASKS, "glyphs", few)
    monkeypatch.setattr(study, "METHODS", {"magnitude-pruning": None, "independent": None})
    return SimpleNamespace(
        method=method, study=study, files=study_files, results=results, task=few, folder=tmp_path
    )


def run(module: object, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *arguments])
    threads = torch.get_num_threads()
    try:
        module.main()
    finally:
        torch.set_num_threads(threads)


def test_a_run_leaves_everything_that_is_asked_of_it(
    study: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(study.method, monkeypatch, "magnitude-pruning", "--steps", "1", "--seed", "3")
    text = (study.folder / "study" / "glyphs" / "magnitude-pruning-3.json").read_text()
    document = json.loads(text)
    assert document["recipe"]["steps"] == 1
    assert document["recipe"]["seed"] == document["seed"] == 3
    assert len(document["matrix"]["query_capacities"]) == 10
    assert set(document["matrix"]["values"]) == {"recall_at_1", "mean_average_precision_at_r"}
    tenth = document["members"]["0.1"]
    assert tenth["nonzero"] < tenth["parameters"]
    assert tenth["macs"] == document["members"]["1"]["macs"]
    assert document["members"]["1"]["latency"] == 1
    [training] = document["trainings"]
    assert training["seconds"] > 0 < training["dense_step_s"]
    assert len(text.splitlines()) < 160  # a row of the matrix is a line


def test_results_of_the_same_recipe_are_not_made_again(
    study: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def make(run_of: tuple[str, str, int], arguments: argparse.Namespace) -> str:
        made.append(run_of)
        if run_of[2] == 1:
            return "ValueError: it broke"
        _, name, seed = run_of
        recipe = study.files.recipe_of(name, study.task(arguments.steps, seed, None))
        study.results.write_results(study.files.name_of_run(*run_of), {"recipe": recipe})
        return ""

    monkeypatch.setattr(study.study, "_run", make)
    asked = ("--methods", "magnitude-pruning", "--seeds", "0", "1", "--steps", "1")
    for exit_code in (1, 1):
        with pytest.raises(SystemExit) as left:
            run(study.study, monkeypatch, *asked)
        assert left.value.code == exit_code
    ours, broken = ("glyphs", "magnitude-pruning", 0), ("glyphs", "magnitude-pruning", 1)
    assert made == [ours, broken, broken]
    with pytest.raises(SystemExit):
        run(study.study, monkeypatch, *asked[:-1], "2")  # two steps are another recipe
    assert made[3:] == [ours, broken]


def test_the_list_says_what_is_missing(
    study: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(study.method, monkeypatch, "magnitude-pruning", "--steps", "1")
    capsys.readouterr()
    run(study.study, monkeypatch, "--list", "--seeds", "0", "--steps", "1")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["there   glyphs magnitude-pruning 0", "missing glyphs independent 0"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--methods", "independant"), "--methods should be of those .* Found independant."),
        (("--jobs", "0"), "--jobs should be at least 1. Found 0."),
        (("--weights", "nowhere.pt"), "--weights should be a file. Found nowhere.pt."),
    ],
)
def test_bad_arguments_are_named(
    study: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as left:
        run(study.study, monkeypatch, *asked)
    assert left.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("text", ['{"data": "gly', "[]", ""])
def test_what_is_no_result_is_named(study: SimpleNamespace, text: str) -> None:
    file = study.folder / "study" / "glyphs" / "joint-0.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(ValueError, match=r"joint-0\.json should hold a result\. Found"):
        study.files.is_done("glyphs", "joint", study.task(1, 0, None))


@pytest.fixture
def _interrupts_are_heard() -> Iterator[None]:
    """A job in the background of a shell ignores them, and so do the processes that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(
    not Path("/proc/thread-self/children").exists(), reason="the kernel does not list children"
)
@pytest.mark.usefixtures("_interrupts_are_heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_the_runs_that_wait_and_the_one_that_runs(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The signal to the driver alone, as from a scheduler, once a run has begun."""
    script = Path(__file__).parents[2] / "benchmarks" / "study.py"
    asked = ["--methods", "independent", "joint", "--seeds", "0", "--results", str(tmp_path)]
    driver = subprocess.Popen(
        [sys.executable, str(script), *asked, "--store", str(tmp_path / "store")],
        stderr=subprocess.PIPE,
        text=True,
    )
    own = Path(f"/proc/{driver.pid}/task")
    deadline = time.monotonic() + 120
    found: list[int] = []
    while not found and time.monotonic() < deadline:
        time.sleep(0.2)
        listed = (thread / "children" for thread in own.iterdir())
        children = [int(child) for file in listed for child in file.read_text().split()]
        found = [child for child in children if "method.py" in _command_line(child)]
    assert found
    driver.send_signal(number)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "Interrupted. The same command goes on where it stopped." in errors
    assert not any(Path(f"/proc/{child}").exists() for child in found)
    assert not list(tmp_path.rglob("*.json"))


def _command_line(process: int) -> str:
    """Nothing if it has ended: importing torch starts short ones of its own."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_a_training_that_was_kept_is_not_done_again(task: object, tmp_path: Path) -> None:
    from measure import TrainingBook

    trained = []

    def train(title: str, **settings: object) -> tuple[nn.Linear, TrainingBook]:
        layer, book = nn.Linear(2, 2), TrainingBook(task, tmp_path)

        def run() -> None:
            trained.append(title)
            nn.init.constant_(layer.weight, len(trained))

        book.train(title, {"layer": layer}, run, settings)
        return layer, book

    first, book = train("one")
    again, same_book = train("one")
    assert trained == ["one"]
    assert torch.equal(first.weight, again.weight)
    assert book.costs == same_book.costs  # it costs what it cost when it was done
    train("one", alpha=1)
    train("other")
    assert trained == ["one", "one", "other"]
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(UserWarning, match="can't be read, so that is trained anew"):
        train("other")
    assert trained[3:] == ["other"]
    assert train("other") and trained[4:] == []


def test_lists_of_numbers_stand_on_a_line(study: SimpleNamespace) -> None:
    from results import read_results, write_results

    rows = {"rows": [[0.5, -1e-05], [3, 4.25]], "texts": ["a b", "c"], "empty": []}
    write_results("some/where", rows)
    text = (study.folder / "some" / "where.json").read_text()
    assert "    [0.5, -1e-05],\n    [3, 4.25]\n" in text
    assert read_results("some/where").items() >= rows.items()
