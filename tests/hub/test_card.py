"""Cards: what a visitor of the Hub reads, and what the Hub itself reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_card_rules import faults
from hub_endpoint import Endpoint
from huggingface_hub import ModelCard
from PIL import Image

from prunnet_pml.evaluation import METRICS, CompatibilityMatrix
from prunnet_pml.hub import Manifest, from_pretrained, write_card

CAPACITIES = (1.0, 0.6, 0.4, 0.2)
VALUES = np.array(
    [
        [0.71, 0.70, 0.66, 0.64],
        [0.70, 0.69, 0.65, 0.6],
        [0.68, 0.66, 0.6, 0.5],
        [0.67, 0.5, 0.4, 0.3],
    ]
)
GIVEN = {
    "name": "team/glyphs",
    "license": "apache-2.0",
    "data": "Glyphs, characters never seen in training",
    "recipe": {"steps": 600, "learning_rate": 0.01},
}


@pytest.fixture
def matrix() -> CompatibilityMatrix:
    values = {metric: VALUES / (i + 1) for i, metric in enumerate(METRICS)}
    return CompatibilityMatrix(CAPACITIES, CAPACITIES, values, 8, trained_capacities=(0.6, 0.2))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "glyphs"))


def test_the_hub_takes_the_card(hub: Endpoint, folder: Path, matrix: CompatibilityMatrix) -> None:
    ModelCard.load(write_card(folder, matrix, **GIVEN)).validate()


@pytest.mark.parametrize("given", [{}, {"data": "Glyphs"}, {"recipe": "AdamW."}, GIVEN])
def test_a_card_can_say_little(folder: Path, given: dict, matrix: CompatibilityMatrix) -> None:
    for evaluation in (None, matrix):
        path = write_card(folder, evaluation, **given)
        assert faults(path.read_text()) == []
        assert "None" not in re.sub("```.*?```", "", path.read_text(), flags=re.DOTALL)


def test_the_metadata_hold_every_cell_that_is_shown(
    folder: Path, matrix: CompatibilityMatrix
) -> None:
    data = ModelCard.load(write_card(folder, matrix, **GIVEN)).data
    found = {result.metric_name: result.metric_value for result in data.eval_results}
    assert found == {
        "R@1, 100% query, dense gallery": 71.0,
        "R@1, 60% query, dense gallery": 70.0,
        "R@1, 40% query, dense gallery": 68.0,
        "R@1, 20% query, dense gallery": 67.0,
        "R@1, 60% query, own gallery": 69.0,
        "R@1, 40% query, own gallery": 60.0,
        "R@1, 20% query, own gallery": 30.0,
    }
    [data_set] = {(result.dataset_type, result.dataset_name) for result in data.eval_results}
    assert data_set == ("glyphs", "Glyphs")
    assert data.license == "apache-2.0"


def test_the_page_says_what_was_measured(folder: Path, matrix: CompatibilityMatrix) -> None:
    text = write_card(folder, matrix, **GIVEN).read_text()
    for row in ("| 100% | 71.0 | 71.0 |", "| 40% * | 68.0 | 60.0 |", "| 20% | 67.0 | 30.0 |"):
        assert row in text
    assert "`test_resnet`" in text
    assert "- learning rate: 0.01" in text
    assert Manifest.read(folder).space_id in text
    assert "zeros" in text


def test_the_page_says_how_much_is_downloaded(folder: Path) -> None:
    text, manifest = write_card(folder, **GIVEN).read_text(), Manifest.read(folder)
    rows = re.findall(r"^\| (\d+)% \| ([\d.]+) MB \| ([\d.]*)", text, flags=re.MULTILINE)
    assert [int(row[0]) for row in rows] == [20, 40, 60, 80, 100]
    for percent, whole, step in rows:
        size = manifest.bytes_for(int(percent) / 100) / 1e6
        assert float(whole) == pytest.approx(size, abs=0.006)
        if step:
            below = manifest.bytes_for(int(percent) / 100 - 0.2) / 1e6
            assert float(step) == pytest.approx(size - below, abs=0.006)


def test_what_the_card_shows_lies_beside_it(folder: Path, matrix: CompatibilityMatrix) -> None:
    text = write_card(folder, matrix, **GIVEN).read_text()
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert len(pictures) == 2
    for picture in pictures:
        with Image.open(folder / picture) as image:
            assert min(image.size) > 300
    [numbers] = re.findall(r"\[([^]]*\.json)\]", text)
    again = CompatibilityMatrix.from_json(folder / numbers)
    np.testing.assert_array_equal(again["recall_at_1"], VALUES)
    other = write_card(folder, folder / numbers, **GIVEN).read_text()
    assert other == text  # a matrix or its JSON


def test_the_lines_of_use_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = write_card(folder).read_text()
    monkeypatch.chdir(folder.parent)  # where the name in the examples is the folder
    blocks = re.findall("```python\n(.*?)```", text, flags=re.DOTALL)
    scope: dict = {}
    exec(blocks[0], scope)
    images = torch.randn(2, 3, 64, 64)
    assert scope["server"](images).shape == scope["device"](images).shape == (2, 8)
    exec(blocks[1].replace("hf-hub:", "local-dir:"), scope)
    torch.testing.assert_close(
        scope["server"].eval()(images), from_pretrained(folder, 1.0).eval()(images)
    )


def test_another_metric_can_lead(folder: Path, matrix: CompatibilityMatrix) -> None:
    text = write_card(folder, matrix, metric="recall_at_2").read_text()
    assert "R@2, in percent" in text
    assert "| 20% | 33.5 | 15.0 |" in text


def test_what_a_card_cannot_be_made_of_is_refused(
    folder: Path, matrix: CompatibilityMatrix
) -> None:
    with pytest.raises(ValueError, match=r"`metric` should be one of \['recall_at_1'"):
        write_card(folder, matrix, metric="precision")
    small = CompatibilityMatrix((0.2,), (0.2,), {"recall_at_1": np.array([[0.5]])}, 8)
    with pytest.raises(ValueError, match="`evaluation` should hold the dense network's gallery"):
        write_card(folder, small)
    assert not (folder / "README.md").exists()
