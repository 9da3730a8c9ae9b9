"""The command that trains what comes with the package, on a few images and in one step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import few_glyphs
import pytest
import torch

import prunnet_pml as prunnet
from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.hub import CatalogueEntry, catalogue, from_pretrained

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAME = "prunnet_test_convnext.glyphs"


@pytest.fixture(scope="module")
def checkpoints() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import train_checkpoints

        yield train_checkpoints
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def run(checkpoints: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    threads = torch.get_num_threads()
    monkeypatch.setattr(checkpoints, "Glyphs", few_glyphs.FewGlyphs)
    arguments = ["train_checkpoints.py", NAME, "--folder", str(tmp_path), "--steps", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    yield checkpoints.main
    torch.set_num_threads(threads)


def test_it_trains_measures_and_writes_the_card_once(
    checkpoints: ModuleType, run: object, tmp_path: Path
) -> None:
    run()
    folder = tmp_path / NAME
    model = from_pretrained(folder)
    assert prunnet.trained_capacities(model) == (0.8, 0.6, 0.4, 0.2)
    matrix = CompatibilityMatrix.from_json(folder / "evaluation" / "matrix.json")
    tenths = tuple(n / 10 for n in range(10, 0, -1))
    assert matrix.query_capacities == matrix.gallery_capacities == tenths
    assert "- steps: 1" in (folder / "README.md").read_text()
    recipe, glyphs = checkpoints.RECIPES[NAME], few_glyphs.FewGlyphs("train")
    images = checkpoints.calibration_images(glyphs, recipe.with_steps(1))
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    prunnet.calibrate(model, images)  # once more: they are those of the rounded network
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[key]), key
    files = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    run()
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == files

    entry = checkpoints.entry_of(folder, checkpoints.RECIPES[NAME])
    assert CatalogueEntry.parse(entry.to_json()) == entry
    assert entry.recall_at_1.keys() == entry.sizes.keys() == set(entry.capacities)


def test_the_recipes_are_those_of_the_catalogue(checkpoints: ModuleType) -> None:
    """What the cards say of the training is what the command would do again."""
    assert [entry.name for entry in catalogue()] == list(checkpoints.RECIPES)
    for entry in catalogue():
        recipe = checkpoints.RECIPES[entry.name]
        assert entry.recipe == recipe.described()
        assert (entry.backbone, entry.data) == (recipe.architecture, recipe.data)
        assert entry.licence == recipe.license
        assert (entry.folder / "LICENSE").exists() == (recipe.notice is not None)
