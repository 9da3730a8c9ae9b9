"""``prunnet compatible``, as a shell calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from networks import TinyEmbedder
from typer.testing import CliRunner

import prunnet_pml as prunnet
from prunnet_pml.cli import app
from prunnet_pml.demo.report import save_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of one training run, one of another, and one of a plain network."""
    model = prunnet.make_prunable(TinyEmbedder(), space_id="this-run")
    torch.save(model.state_dict(), tmp_path / "server.pt")
    save_checkpoint(model, tmp_path / "device.safetensors")
    torch.save(prunnet.make_prunable(TinyEmbedder()).state_dict(), tmp_path / "other.pt")
    torch.save(TinyEmbedder().state_dict(), tmp_path / "plain.pt")
    return tmp_path


def test_checkpoints_of_one_run_are_compatible(folder: Path) -> None:
    files = [str(folder / name) for name in ("server.pt", "device.safetensors")]
    result = CliRunner().invoke(app, ["compatible", *files])
    assert result.exit_code == 0
    first, second, verdict = result.output.splitlines()
    assert first.split() == ["this-run", files[0]]
    assert second.split() == ["this-run", files[1]]
    assert verdict.startswith("Compatible")


def test_checkpoints_of_two_runs_are_not(folder: Path) -> None:
    files = [str(folder / name) for name in ("server.pt", "other.pt")]
    result = CliRunner().invoke(app, ["compatible", *files])
    assert result.exit_code == 1
    assert result.output.splitlines()[2].startswith("Not compatible")


@pytest.mark.parametrize(("other", "code"), [("device.safetensors", 0), ("other.pt", 1)])
def test_the_verdict_is_there_as_json(folder: Path, other: str, code: int) -> None:
    files = [str(folder / name) for name in ("server.pt", other)]
    result = CliRunner().invoke(app, ["compatible", *files, "--json"])
    assert result.exit_code == code
    found = json.loads(result.stdout)
    assert found["space_ids"].keys() == set(files)
    assert found["space_ids"][files[0]] == "this-run"
    assert found["compatible"] is (code == 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing.pt", "does not exist"), (".", "is a directory"), ("plain.pt", "Found 0 in")],
)
def test_what_cannot_be_compared_is_an_error_and_no_verdict(
    folder: Path, name: str, reason: str
) -> None:
    result = CliRunner().invoke(app, ["compatible", str(folder / "server.pt"), str(folder / name)])
    assert result.exit_code == 2
    assert reason in " ".join(result.output.replace("│", " ").split())
    assert "ompatible:" not in result.output
