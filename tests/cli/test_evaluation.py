"""``prunnet evaluate`` of what ``save_pretrained`` wrote, on data by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import prunnet_pml as prunnet
from prunnet_pml.cli import app
from prunnet_pml.datasets import named_images
from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.hub import from_pretrained


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two classes, of three grey values each."""
    for name, values in (("dark", (0, 20, 40)), ("light", (200, 220, 240))):
        (tmp_path / "images" / name).mkdir(parents=True)
        for value in values:
            file = tmp_path / "images" / name / f"{value}.png"
            Image.new("RGB", (32, 32), (value, 0, 255 - value)).save(file)
    return tmp_path / "images"


def test_it_prints_the_matrix_of_a_folder_of_images(
    saved: Path, images: Path, tmp_path: Path
) -> None:
    arguments = ["evaluate", str(saved), "--data", str(images), "--capacities", "0.2,0.5,1"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "matrix.json")])
    assert result.exit_code == 0, result.output
    model = from_pretrained(saved)
    expected = prunnet.evaluate(model, named_images(images, model), capacities=(0.2, 0.5, 1))
    assert result.stdout == expected.to_markdown("recall_at_1")
    assert (tmp_path / "matrix.json").read_text() == expected.to_json()
    found = CliRunner().invoke(app, [*arguments, "--json"])
    assert CompatibilityMatrix.from_json(found.stdout).query_capacities == (0.2, 0.5, 1.0)


def test_bad_input_is_one_line_and_exit_code_2(saved: Path, images: Path) -> None:
    for arguments, reason in (
        ([str(saved), "--data", "glyfs"], "`data` should be one of"),
        ([str(saved), "--data", str(images), "--metric", "x"], "`metric` should be one of"),
        (["nothing", "--data", "glyphs", "--metric", "x"], "`metric` should be one of"),
        ([str(saved)], "Found neither"),
        ([str(saved), "--data", str(images), "--cfg-options", "a=1"], "`cfg_options` should be le"),
        (["glyphs_resnet10", "a.pth", "--revision", "v1"], "`revision` should be left out with"),
        (["nothing", "--data", "glyphs"], "`source` should be a folder, a repository"),
    ):
        result = CliRunner().invoke(app, ["evaluate", *arguments])
        assert result.exit_code == 2
        [line] = result.stderr.splitlines()
        assert reason in line
