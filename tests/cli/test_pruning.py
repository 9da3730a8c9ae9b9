"""``prunnet prune``, as a shell calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_endpoint import Endpoint
from networks import assert_equal_states, snapshot
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

import prunnet_pml as prunnet
from prunnet_pml.cli import app
from prunnet_pml.hub import Manifest, push_to_hub, save_pretrained
from prunnet_pml.space_of_file import read_space_id


def test_stock_timm_loads_it_where_there_is_no_prunnet_pml(
    saved: Path, network: nn.Module, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    result = CliRunner().invoke(
        app, ["prune", str(saved), "--capacity", "0.2", "--out", str(out), "--json"]
    )
    assert result.exit_code == 0, result.output
    space = Manifest.read(saved).space_id
    size = sum(file.stat().st_size for file in out.iterdir())
    expected = {"folder": str(out), "capacity": 0.2, "bytes": size, "space_id": space}
    assert json.loads(result.stdout) == expected
    assert read_space_id(out / "model.safetensors") == space
    assert {file.name for file in out.iterdir()} == {"config.json", "model.safetensors"}
    code = f"""
import sys
sys.modules["prunnet_pml"] = None  # whoever imports it fails
import timm
from safetensors.torch import save_file
model = timm.create_model("local-dir:{out}", pretrained=True)
save_file(model.state_dict(), "{tmp_path}/seen.safetensors")
"""
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True)
    student = prunnet.prune(network, 0.2).state_dict()
    seen = load_file(tmp_path / "seen.safetensors")
    assert seen.keys() == student.keys()
    assert all(torch.equal(seen[key], value) for key, value in student.items())


def test_it_is_stored_as_precisely_as_the_checkpoint_is(network: nn.Module, tmp_path: Path) -> None:
    save_pretrained(network, tmp_path / "half", precision="float16")
    arguments = ["prune", str(tmp_path / "half"), "--capacity", "1", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert tensors["conv1.0.weight"].dtype is torch.float16
    assert tensors["bn1.running_var"].dtype is torch.float32


def test_of_a_repository(hub: Endpoint, saved: Path, network: nn.Module, tmp_path: Path) -> None:
    import timm

    push_to_hub(saved, "team/net", tag="v1")
    hub.forget()
    out = tmp_path / "student"
    arguments = ["prune", "team/net", "--capacity", "0.4", "--out", str(out), "--revision", "v1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{out}: ResNet at 40%, ")
    loaded = timm.create_model(f"local-dir:{out}", pretrained=True)
    assert_equal_states(loaded, snapshot(prunnet.prune(network, 0.4)))
    assert "model.safetensors" not in hub.downloads()


def test_what_it_wrote_before_it_replaces_and_nothing_else(saved: Path, tmp_path: Path) -> None:
    out, thesis = tmp_path / "out", tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "thesis.tex").write_text("three years")
    for capacity in ("0.2", "0.4"):
        arguments = ["prune", str(saved), "--capacity", capacity, "--out", str(out)]
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert json.loads((out / "config.json").read_text())["prunnet_pruned"]["capacity"] == 0.4
    copy = tmp_path / "prunable"
    copy.mkdir()
    (copy / "config.json").write_bytes((saved / "config.json").read_bytes())
    for other in (thesis, copy):  # a prunable checkpoint can't be had again from a student
        before = {file: file.read_bytes() for file in other.iterdir()}
        arguments = ["prune", str(saved), "--capacity", "0.2", "--out", str(other)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert "should be new, empty, or a checkpoint of the same kind" in result.stderr
        assert {file: file.read_bytes() for file in other.iterdir()} == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "prunable", "thesis"]


@pytest.mark.parametrize("capacity", ["0", "1.5", "nan"])
def test_a_capacity_out_of_range_writes_nothing(saved: Path, tmp_path: Path, capacity: str) -> None:
    arguments = ["prune", str(saved), "--capacity", capacity, "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "`capacity` should be in (0, 1]" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("default::prunnet_pml.InterpolationWarning")
def test_interpolated_statistics_are_said_to_be(saved: Path, tmp_path: Path) -> None:
    arguments = ["prune", str(saved), "--out", str(tmp_path / "out"), "--capacity"]
    trained = CliRunner().invoke(app, [*arguments, "0.4"])
    assert trained.stderr == ""
    between = CliRunner().invoke(app, [*arguments, "0.5"])
    assert between.exit_code == 0
    [line] = between.stderr.splitlines()
    assert line.startswith("Warning: Capacities without norm statistics of their own ")
    assert "Found 0.5, where those of 0.2, 0.4" in line
    assert "`--capacity 0.4` is the next smaller one" in line
