"""A save that fails leaves what was there; one that succeeds leaves what is not ours."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoints import save_small
from networks import TinyEmbedder
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.hub import Manifest, download, from_pretrained, save_pretrained
from prunnet_pml.hub.manifest import is_same_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_small(tmp_path / "saved")
    return tmp_path / "saved"


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_save_that_is_killed_leaves_the_old_checkpoint(folder: Path) -> None:
    """At the third of seven files, by the signal that no program can answer."""
    before = content(folder)
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from checkpoints import Path, save_small
from prunnet_pml.hub import saving
write, written = saving.save_file, []
def killed(*arguments):
    written.append(arguments)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*arguments)
saving.save_file = killed
save_small(Path({str(folder)!r}))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert content(folder) == before
    save_small(folder)  # and what the killed one left is in nobody's way
    from_pretrained(folder, 0.2)


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(folder: Path) -> None:
    before = content(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"prunnet/band-020\.safetensors"):
            save_small(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content(folder) == before
    assert [*folder.parent.iterdir()] == [folder]


def test_a_rename_that_fails_brings_the_old_checkpoint_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = content(folder), Path.rename

    def fail(path: Path, target: Path) -> Path:
        if target == folder and path.name == folder.name:  # the new one, not the old one back
            raise PermissionError("held by a virus scanner")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(PermissionError):
        save_small(folder)
    assert content(folder) == before
    assert [*folder.parent.iterdir()] == [folder]


def test_saving_again_replaces_our_files_and_keeps_the_others(folder: Path) -> None:
    (folder / "README.md").write_text("card")
    (folder / ".git" / "refs").mkdir(parents=True)
    (folder / ".git" / "refs" / "head").write_text("main")
    (folder / "prunnet" / "band-070.safetensors").write_text("of capacities that were others")
    model = prunnet.make_prunable(TinyEmbedder(), (0.5,))
    save_pretrained(model, folder, dense=False)
    found = content(folder)
    assert found.pop("README.md") == b"card"
    assert found.pop(".git/refs/head") == b"main"
    assert sorted(found) == [
        "config.json",
        "prunnet/band-050.safetensors",
        "prunnet/band-100.safetensors",
        "prunnet/scores-050.safetensors",
        "prunnet/scores-100.safetensors",
    ]
    assert [*folder.parent.iterdir()] == [folder]


def test_others_may_read_what_was_saved(folder: Path) -> None:
    """As far as the umask says; a server often runs as another user."""
    plain = folder / "plain"
    plain.touch()
    for file in folder.rglob("*.safetensors"):
        assert file.stat().st_mode == plain.stat().st_mode


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("three years")
    model = prunnet.make_prunable(TinyEmbedder())
    with pytest.raises(ValueError, match=r"`folder` should be new, empty, or a checkpoint"):
        save_pretrained(model, tmp_path)
    with pytest.raises(ValueError, match="`folder` should be a folder"):
        save_pretrained(model, tmp_path / "thesis.tex")
    with tempfile.TemporaryDirectory() as elsewhere:
        link = tmp_path / "link"
        link.symlink_to(elsewhere)
        with pytest.raises(ValueError, match=r"Found the link .*: give /"):
            save_pretrained(model, link)
        link.unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
    save_pretrained(model, tmp_path / "a" / "new" / "one")


@pytest.mark.parametrize("inside", [".", "prunnet"])
def test_the_current_directory_is_not_renamed_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """The process would go on in a folder that is deleted."""
    before, model = content(folder), prunnet.make_prunable(TinyEmbedder())
    monkeypatch.chdir(folder / inside)
    for path in (folder, Path(os.path.relpath(folder))):
        with pytest.raises(ValueError, match=r"in which this process runs: give a folder inside"):
            save_pretrained(model, path)
    assert content(folder) == before
    assert [*folder.parent.iterdir()] == [folder]
    save_pretrained(model, "inside")


def test_a_mount_point_is_not_renamed_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", folder.samefile)
    with pytest.raises(ValueError, match=r"which is a mount point: give a folder inside"):
        save_small(folder)


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a second file system")
def test_a_download_stays_on_the_disk_of_its_folder(folder: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other_disk:
        link = tmp_path / "link"
        link.symlink_to(other_disk)
        download(folder, 0.2, folder=other_disk)
        save_pretrained(prunnet.make_prunable(TinyEmbedder()), tmp_path / "other")
        download(tmp_path / "other", 0.2, folder=link)
        assert is_same_checkpoint(link, tmp_path / "other")
        assert not Manifest.read(link).missing(link, 0.2)


def test_a_network_that_can_not_be_saved_is_refused_first(tmp_path: Path) -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    for arguments, match in (
        ({"precision": "int8"}, "`precision` should be one of"),
        ({"scores": "int4"}, "`scores` should be"),
        ({"capacities": [0.2, 1.5]}, r"`capacities` should be in \(0, 1\]. Found 1.5"),
    ):
        with pytest.raises(ValueError, match=match):
            save_pretrained(model, tmp_path / "new", **arguments)
    with pytest.raises(ValueError, match="prunable network"):
        save_pretrained(TinyEmbedder(), tmp_path / "new")
    with torch.no_grad():
        model.head.weight[0, 0] = 1e5
        with pytest.raises(ValueError, match=r"`precision` .* holds `head.weight`.*bfloat16"):
            save_pretrained(model, tmp_path / "new", precision="float16")
        model.conv1.scores[0] = torch.nan
        with pytest.raises(ValueError, match=r"finite numbers. Found others in `conv1.scores`"):
            save_pretrained(model, tmp_path / "new")
    shared = prunnet.make_prunable(TinyEmbedder())
    shared.again = shared.conv1
    with pytest.raises(ValueError, match=r"own every tensor once. Found `conv1.* as `again"):
        save_pretrained(shared, tmp_path / "new")
    assert [*tmp_path.iterdir()] == []


class ExtraState(nn.Linear):
    def get_extra_state(self) -> dict[str, int]:
        return {"steps": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda model: model.register_buffer("phase", torch.zeros(2, dtype=torch.complex64)),
            r"tensors of float64, .*, bool\. Found torch\.complex64 in `phase`",
        ),
        (
            lambda model: model.register_buffer("table", torch.zeros(2, dtype=torch.uint16)),
            r"Found torch\.uint16 in `table`",
        ),
        (lambda model: model.add_module("x", ExtraState(1, 1)), "Found dict in `x._extra_state`"),
    ],
    ids=["complex64", "uint16", "extra_state"],
)
def test_what_could_not_be_loaded_again_replaces_nothing(
    folder: Path, change: Callable[[nn.Module], None], message: str
) -> None:
    before, model = content(folder), prunnet.make_prunable(TinyEmbedder())
    change(model)
    with pytest.raises(ValueError, match=message):
        save_pretrained(model, folder)
    assert content(folder) == before


def test_buffers_that_share_memory_are_saved_by_value(folder: Path) -> None:
    def network() -> nn.Module:
        model, positions = TinyEmbedder(), torch.arange(6.0)
        model.register_buffer("positions", positions)
        model.register_buffer("first", positions[:4])
        model.register_buffer("last", positions[2:])
        return model

    save_pretrained(prunnet.make_prunable(network()), folder)
    assert from_pretrained(folder, model=network()).last.tolist() == [2, 3, 4, 5]


def test_what_was_measured_of_another_network_stays_behind(folder: Path) -> None:
    (folder / "evaluation").mkdir()
    for name in ("matrix.json", "curve.png"):
        (folder / "evaluation" / name).write_text("{}")
    model, scores = from_pretrained(folder), Manifest.read(folder).scores
    save_pretrained(model, folder, scores=scores)  # the same network, to the byte
    assert (folder / "evaluation" / "matrix.json").exists()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    with pytest.warns(UserWarning, match=r"matrix.json was measured of the network that this one"):
        save_pretrained(model, folder)
    assert [file.name for file in (folder / "evaluation").iterdir()] == ["curve.png"]


def test_what_lies_behind_a_link_is_not_deleted(folder: Path, tmp_path: Path) -> None:
    measured = tmp_path / "elsewhere" / "matrix.json"
    measured.parent.mkdir()
    measured.write_text("{}")
    (folder / "evaluation").symlink_to(measured.parent)
    model = from_pretrained(folder)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_pretrained(model, folder)
    assert measured.exists()
