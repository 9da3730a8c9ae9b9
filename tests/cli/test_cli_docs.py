"""docs/cli.md: its Python runs as written, on fewer images, and its commands parse."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from mmengine_runs import forget_runs
from test_docs import blocks, run_blocks
from typer.testing import CliRunner

from prunnet_pml.cli import app
from prunnet_pml.cli.application import COMMANDS

PAGE = "docs/cli.md"
OPTIONS = [
    "train_dataloader.num_batch_per_epoch=1",
    "train_dataloader.batch_size=8",
    "val_dataloader.dataset.type=few_glyphs.FewGlyphs",
    "train_cfg.max_epochs=1",
    "log_level=ERROR",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:mmengine")
@pytest.mark.filterwarnings("ignore::FutureWarning:mmengine")
def test_its_python_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = run_blocks(PAGE, {"options": OPTIONS})
    forget_runs()
    assert found["matrix"].query_capacities == (1.0, 0.4, 0.2)


def test_its_commands_parse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every flag is one of the command's: --help behind it is reached, which is read last."""
    lines = "".join(blocks(PAGE, "bash")).splitlines()
    commands = [shlex.split(line.rpartition("prunnet_pml.cli ")[2]) for line in lines if line]
    commands = [command[1:] if command[0] == "prunnet" else command for command in commands]
    assert {command[0] for command in commands} | {"demo"} == set(COMMANDS)
    for command in commands:
        result = CliRunner().invoke(app, [command[0], "--help"])
        flags = {argument for argument in command if argument.startswith("--")}
        assert result.exit_code == 0
        assert [flag for flag in flags if flag not in result.output] == []


def test_it_lists_every_command() -> None:
    table = (Path(__file__).parents[2] / PAGE).read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"| `prunnet {command}` |" in table
