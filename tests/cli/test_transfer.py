"""``prunnet push``, ``pull`` and ``upgrade``, against a Hub on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub_endpoint import Endpoint
from huggingface_hub import HfApi
from networks import assert_equal_states, snapshot
from torch import nn
from typer.testing import CliRunner

import prunnet_pml as prunnet
from prunnet_pml.cli import app
from prunnet_pml.hub import Manifest, from_pretrained

NAME = "team/net"


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_from_a_folder_to_the_hub_and_back_in_two_steps(
    hub: Endpoint, saved: Path, network: nn.Module, tmp_path: Path
) -> None:
    pushed = json.loads(run("push", saved, NAME, "--private", "--tag", "v1", "--json"))
    [newest, *_] = HfApi().list_repo_commits(NAME)
    assert pushed["commit"] == newest.commit_id
    assert HfApi().model_info(NAME).private
    hub.forget()

    out, manifest = tmp_path / "device", Manifest.read(saved)
    found = json.loads(run("pull", NAME, "--capacity", "0.2", "--out", out, "--json"))
    size = manifest.bytes_for(0.2)
    assert found == {"folder": str(out), "capacity": 0.2, "bytes": size}
    small = hub.downloads() - {"config.json"}
    assert small == set(manifest.files_for(0.2))
    assert_equal_states(from_pretrained(out, 0.2), snapshot(prunnet.prune(network, 0.2)))
    hub.forget()

    assert run("upgrade", out, "--capacity", "0.4").startswith(f"{out}: 40%, ")
    assert hub.downloads() == set(manifest.files_for(0.4)) - small
    assert_equal_states(from_pretrained(out, 0.4), snapshot(prunnet.prune(network, 0.4)))
    hub.forget()

    told = ", at hand already: nothing was downloaded"
    assert run("upgrade", out, "--capacity", "0.2").strip().endswith(told)
    assert not hub.asked
    assert told not in run("upgrade", out, "--capacity", "0.6")


def test_push_prints_where_it_went(hub: Endpoint, saved: Path) -> None:
    assert run("push", saved, NAME, "--revision", "next").strip().startswith(f"{hub.url}/{NAME}")
    assert "next" in {ref.name for ref in HfApi().list_repo_refs(NAME).branches}


def test_pull_without_a_folder_fills_the_cache(
    hub: Endpoint, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("push", saved, NAME)
    folder = json.loads(run("pull", NAME, "--json"))["folder"]
    hub.forget()
    from_pretrained(folder)
    assert not hub.asked


def test_off_a_terminal_it_is_quiet(hub: Endpoint, saved: Path, tmp_path: Path) -> None:
    for arguments in (["push", str(saved), NAME], ["pull", NAME, "--out", str(tmp_path / "out")]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) == 1
        assert result.stderr == ""


def test_a_folder_is_pulled_and_upgraded_too(
    saved: Path, network: nn.Module, tmp_path: Path
) -> None:
    """From a disk that is shared, say."""
    out = tmp_path / "device"
    run("pull", saved, "--capacity", "0.2", "--out", out)
    files = {f.relative_to(out).as_posix() for f in out.rglob("*") if f.is_file()}
    expected = {"config.json", "prunnet/source.json", *Manifest.read(saved).files_for(0.2)}
    assert files == expected
    run("upgrade", out)
    assert_equal_states(from_pretrained(out), snapshot(network))


def test_what_a_folder_lacks_is_not_called_pulled(saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "device"
    run("pull", saved, "--capacity", "0.2", "--out", out)
    result = CliRunner().invoke(app, ["pull", str(out), "--capacity", "0.8"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "without a whole prunnet/band-040.safetensors" in result.stderr
    run("pull", out, "--capacity", "0.8", "--out", out)
    run("pull", out, "--capacity", "0.8")


def test_what_the_hub_refuses_is_one_line_and_exit_code_1(hub: Endpoint, saved: Path) -> None:
    result = CliRunner().invoke(app, ["push", str(saved), "others/net"])
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "What to do: the token may not do this" in line


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    for command in (["push", str(tmp_path), NAME], ["upgrade", str(tmp_path)]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2
        assert "should have a config.json" in result.stderr
