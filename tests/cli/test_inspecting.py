"""``prunnet compare`` and ``prunnet info``, as a shell calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hub_endpoint import Endpoint
from networks import TinyEmbedder
from torch import nn
from typer.testing import CliRunner

import prunnet_pml as prunnet
from prunnet_pml.cli import app
from prunnet_pml.demo.report import save_checkpoint
from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.hub import Manifest, push_to_hub, save_plain, save_pretrained, write_card


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
    result = CliRunner().invoke(app, ["compare", *files])
    assert result.exit_code == 0
    first, second, verdict = result.output.splitlines()
    assert first.split() == ["this-run", files[0]]
    assert second.split() == ["this-run", files[1]]
    assert verdict.startswith("Compatible")


def test_checkpoints_of_two_runs_are_not(folder: Path) -> None:
    files = [str(folder / name) for name in ("server.pt", "other.pt")]
    result = CliRunner().invoke(app, ["compare", *files])
    assert result.exit_code == 1
    assert result.output.splitlines()[2].startswith("Not compatible")


@pytest.mark.parametrize(("other", "code"), [("device.safetensors", 0), ("other.pt", 1)])
def test_the_verdict_is_there_as_json(folder: Path, other: str, code: int) -> None:
    files = [str(folder / name) for name in ("server.pt", other)]
    result = CliRunner().invoke(app, ["compare", *files, "--json"])
    assert result.exit_code == code
    found = json.loads(result.stdout)
    assert found["space_ids"].keys() == set(files)
    assert found["space_ids"][files[0]] == "this-run"
    assert found["compatible"] is (code == 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.pt", "`source` should be a folder, a repository"),
        (".", "A checkpoint should have a config.json"),
        ("plain.pt", "Found 0 in"),
    ],
)
def test_what_cannot_be_compared_is_an_error_and_no_verdict(
    folder: Path, name: str, reason: str
) -> None:
    result = CliRunner().invoke(app, ["compare", str(folder / "server.pt"), str(folder / name)])
    assert result.exit_code == 2
    assert reason in " ".join(result.output.replace("│", " ").split())
    assert "ompatible:" not in result.output


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_files_folders_students_and_repositories_compare(
    hub: Endpoint, network: nn.Module, saved: Path, tmp_path: Path
) -> None:
    """The same training, in every shape in which it may be at hand."""
    space = Manifest.read(saved).space_id
    save_plain(prunnet.prune(network, 0.2), tmp_path / "device", space_id=space, capacity=0.2)
    push_to_hub(saved, "team/net")
    hub.forget()
    sources = [saved, tmp_path / "device", tmp_path / "device" / "model.safetensors", "team/net"]
    for other in sources[1:]:
        found = json.loads(run("compare", saved, other, "--json"))
        assert found == {"space_ids": {str(saved): space, str(other): space}, "compatible": True}
    assert hub.downloads() == {"config.json"}


@pytest.fixture
def described(saved: Path, network: nn.Module, tmp_path: Path) -> Path:
    """A folder with a card, and an evaluation of which one capacity was not saved."""
    folder = tmp_path / "net"
    save_pretrained(network, folder, precision="float16", scores="uint8")
    embeddings = {c: torch.randn(8, 4) for c in (1.0, 0.8, 0.6, 0.4, 0.3, 0.2)}
    labels = torch.arange(8) % 2
    write_card(
        folder,
        CompatibilityMatrix.from_embeddings(embeddings, labels),
        license="mit",
        data="Flowers, of my garden",
        recipe={"steps": 7},
    )
    return folder


def test_info_says_what_a_folder_is(described: Path) -> None:
    manifest = Manifest.read(described)
    matrix = CompatibilityMatrix.from_json(described / "evaluation" / "matrix.json")
    found = json.loads(run("info", described, "--json"))
    assert found["network"] == "test_resnet"
    assert found["space_id"] == manifest.space_id
    assert (found["precision"], found["scores"]) == ("float16", "uint8")
    assert found["trained_capacities"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert found["bytes"]["0.2"] == manifest.bytes_for(0.2)
    assert found["bytes"]["prunable"] == manifest.bytes_for(None)
    cross = matrix.cross_test("recall_at_1")
    shown = {f"{c:g}": cross[c] for c in (0.2, 0.4, 0.6, 0.8, 1.0)}
    assert found["dense_gallery"] == {"recall_at_1": shown}
    assert found["licence"] == "mit"
    assert found["training"] == "Data: Flowers, of my garden.\n\n- steps: 7"
    text = run("info", described)
    for part in ("test_resnet", manifest.space_id, "float16", "mit", "of my garden", "R@1"):
        assert part in text
    [row] = [line for line in text.splitlines() if line.startswith("20% ")]
    size = f"{manifest.bytes_for(0.2) / 1e6:.2f}"
    assert row.split() == ["20%", size, "MB", f"{100 * cross[0.2]:.1f}"]


def test_info_asks_the_hub_for_no_weights(hub: Endpoint, described: Path) -> None:
    push_to_hub(described, "team/net", tag="v1")
    hub.forget()
    local, remote = (json.loads(run("info", s, "--json")) for s in (described, "team/net"))
    assert remote == local
    assert hub.downloads() == {"config.json", "README.md", "evaluation/matrix.json"}
    run("info", "team/net", "--revision", "v1")


def test_info_of_a_checkpoint_that_says_little(
    hub: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    """No card, no evaluation, no scores, no licence."""
    save_pretrained(network, tmp_path / "bare", scores=None)
    found = json.loads(run("info", tmp_path / "bare", "--json"))
    assert found["dense_gallery"] == {"recall_at_1": {}}
    assert found["bytes"]["prunable"] is None
    assert (found["licence"], found["training"]) == (None, None)
    assert "not stated" in run("info", tmp_path / "bare")


def test_the_hubs_errors_are_one_line_and_exit_code_1(hub: Endpoint) -> None:
    for arguments in (["info", "team/none"], ["pull", "team/none"], ["compare", "a/b", "c/d"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        [line] = result.stderr.splitlines()
        assert line.startswith("Error: ")
        assert "What to do: check the name" in line


def test_info_of_what_is_no_prunable_checkpoint(network: nn.Module, tmp_path: Path) -> None:
    """A pruned network, for stock timm; and nothing, which is not the folder that one is in."""
    device = tmp_path / "device"
    save_plain(prunnet.prune(network, 0.2), device, space_id="a", capacity=0.2)
    for source, reason in (
        (str(device), "Found a network that was pruned already: load it with timm, or ask for"),
        ("", "`source` should be a folder, a repository 'owner/name', or one of"),
    ):
        result = CliRunner().invoke(app, ["info", source])
        assert result.exit_code == 2
        [line] = result.stderr.splitlines()
        assert reason in line
