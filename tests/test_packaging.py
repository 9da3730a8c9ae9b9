"""What is installed is whole: from a wheel, from an sdist, and from an editable install."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from test_import import PACKAGES, ROOMS, ROOT, run_python, sources

from prunnet_pml.hub import catalogue, from_pretrained
from prunnet_pml.registry.mmengine.bundled_configs import bundled_configs

LIBRARIES = str(Path(torch.__file__).parents[1])  # where a .pth file may have led to

PRUNNET = """
import runpy, site, sys
installed, libraries, *arguments = sys.argv[1:]
sys.path[:0] = [installed, libraries]  # for the dependencies; what is installed there stays unread
site.addsitedir(installed)             # reads the .pth file of an editable install
import prunnet_pml
from prunnet_pml.hub import catalogue, from_pretrained
from prunnet_pml.registry.mmengine.bundled_configs import bundled_configs, load_config
print(prunnet_pml.__file__)
print(*(type(from_pretrained(entry.name, 0.2)).__name__ for entry in catalogue()))
print(*(load_config(name).model.type for name in bundled_configs()))
sys.argv = ["prunnet", *arguments]
runpy.run_module("prunnet_pml.cli", run_name="__main__")
"""
FEW = ["--cfg-options", "train_cfg.max_epochs=1", "train_dataloader.num_batch_per_epoch=2"]
FEW += ["val_dataloader.num_batch_per_epoch=1"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what a clone has, because setuptools leaves a build/ behind."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for room in ROOMS.values():
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def built(kind: str, source: Path) -> Path:
    """The one file that the build backend makes, ``build_wheel`` or ``build_sdist``."""
    out = source.parent / "dist"
    code = f"import setuptools.build_meta as b; b.{kind}({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    [file] = out.iterdir()
    return file


def data_files(room: str) -> Iterator[Path]:
    """What is read at run time and is no Python."""
    for pattern in ("py.typed", "FORMAT.md", "catalogue.json", "checkpoints/**/*"):
        yield from (file for file in (ROOT / room).rglob(pattern) if file.is_file())


def install(*arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed"]
    done = subprocess.run([*pip, *offline, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def prunnet(installed: Path, work: Path, *arguments: str) -> list[str]:
    """What a command prints where a fresh interpreter sees this install and no other (-S, -I).

    Before that: the file of the package, and the models of all configs.
    """
    command = [sys.executable, "-I", "-S", "-c", PRUNNET, str(installed), LIBRARIES, *arguments]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_wheel_holds_every_module_and_imports(source: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(built("build_wheel", source)) as archive:
        archive.extractall(unpacked)

    for package, room in ROOMS.items():
        for file in (*sources(room), *data_files(room)):
            installed = unpacked.joinpath(*package.split("."), file.relative_to(ROOT / room))
            assert installed.is_file()
    files = run_python(
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); import {', '.join(PACKAGES)}; "
        f"print(*(sys.modules[package].__file__ for package in {PACKAGES}), sep='\\n')"
    ).splitlines()
    assert all(Path(file).is_relative_to(unpacked) for file in files)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["build_wheel", "build_sdist", "editable"])
def test_configs_train_and_checkpoints_load(kind: str, source: Path, tmp_path: Path) -> None:
    if kind == "editable":
        install("--prefix", str(tmp_path / "there"), "--editable", str(source))
        [installed] = (tmp_path / "there").rglob("site-packages")
        home = source
    else:
        installed = home = tmp_path / "there"
        install("--target", str(installed), str(built(kind, source)))
    file, networks, models, *listed = prunnet(installed, tmp_path, "configs")
    assert Path(file).is_relative_to(home)
    expected = bundled_configs()
    assert networks.split() == [
        type(from_pretrained(entry.name, 0.2)).__name__ for entry in catalogue()
    ]
    assert len(models.split()) == len(expected)
    assert {line.split()[0] for line in listed} == set(expected)

    name = "glyphs_resnet10"
    prunnet(installed, tmp_path, "train", name, *FEW)
    checkpoint = str(tmp_path / "work_dirs" / name / "epoch_1.pth")
    table = prunnet(installed, tmp_path, "evaluate", name, checkpoint, *FEW)[3:]
    assert [line.split()[1] for line in table[2:]] == ["100%", "80%", "60%", "40%", "20%"]
