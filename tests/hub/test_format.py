"""``hub/FORMAT.md`` is enough to read a checkpoint: its own reader does, without torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import checked, save_small, save_small_units
from networks import TinyEmbedder

import prunnet_pml as prunnet
from prunnet_pml.hub import Manifest, from_pretrained, save_pretrained
from prunnet_pml.hub.anatomy import Anatomy
from prunnet_pml.hub.bands import cut

TEXT = (Path(__file__).parents[2] / "hub" / "FORMAT.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, namespace)
    assert "torch" not in namespace
    return namespace


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    [document] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    found: dict[str, Any] = json.loads(document)
    return found


@pytest.mark.parametrize("save", [save_small, save_small_units])
def test_the_reader_reads_what_was_saved(
    save: Callable[[Path], None], reader: dict[str, Any], tmp_path: Path
) -> None:
    save(tmp_path)
    for capacity in (0.2, 0.5, 1.0):
        expected = from_pretrained(tmp_path, capacity).state_dict()
        found = reader["read_capacity"](tmp_path, capacity)
        assert list(found) == list(expected)
        for name, value in found.items():
            np.testing.assert_array_equal(value, expected[name].numpy())


def test_the_reader_finds_bands_of_any_capacity(reader: dict[str, Any], tmp_path: Path) -> None:
    """And buffers of any type that numpy has."""

    def network() -> torch.nn.Module:
        model = TinyEmbedder()
        model.register_buffer("seen", torch.tensor([True, False]))
        return model

    capacities = (0.0001234, 0.12, 0.125, 0.5)
    save_pretrained(prunnet.make_prunable(network(), capacities), tmp_path, precision="float16")
    for capacity in (*capacities, 1.0):
        expected = from_pretrained(tmp_path, capacity, model=network()).state_dict()
        for name, value in reader["read_capacity"](tmp_path, capacity).items():
            np.testing.assert_array_equal(value, expected[name].numpy())


def test_the_reader_decodes_the_example(reader: dict[str, Any], example: dict[str, Any]) -> None:
    bands = [
        {name: np.frombuffer(bytes.fromhex(value), np.uint8) for name, value in parts.items()}
        for key, parts in example.items()
        if key.startswith("band")
    ]
    weight, scores = np.array(example["weight"], np.float16), np.array(example["scores"])
    for used, least in ((1, 0.7), (2, 0.4), (3, 0.0)):
        found = reader["read_scored"](bands[:used], "w", (2, 4), "float16")
        np.testing.assert_array_equal(found, np.where(np.abs(scores) >= least, weight, 0))


def test_the_example_is_what_saving_makes_of_it(example: dict[str, Any]) -> None:
    weight = torch.tensor(example["weight"]).half()
    anatomy = Anatomy({"w": weight}, {"w": torch.tensor(example["scores"])}, {}, {}, set())
    for name, contents in cut(anatomy, (0.25, 0.5, 1.0), None):
        written = {key: value.numpy().tobytes().hex(" ") for key, value in contents.items()}
        assert written == example[Path(name).stem]


@pytest.mark.parametrize("save", [save_small, save_small_units])
def test_the_checksum_is_the_one_described(save: Callable[[Path], None], tmp_path: Path) -> None:
    save(tmp_path)
    block = json.loads((tmp_path / "config.json").read_text())["prunnet"]
    assert checked(block) == block
    assert all(f"`{key}`" in TEXT for key in block)


def test_the_same_network_makes_the_same_bytes(tmp_path: Path) -> None:
    model = prunnet.make_prunable(torch.nn.Linear(300, 20), filter_fn=lambda *_: True)
    for name in ("one", "other"):
        save_pretrained(model, tmp_path / name, scores="uint8")
    assert Manifest.read(tmp_path / "one") == Manifest.read(tmp_path / "other")
