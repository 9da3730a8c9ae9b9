"""The checkpoints that come with the package: every one loads, and is what the catalogue says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hub_card_rules import faults
from hub_endpoint import Endpoint
from huggingface_hub import HfApi, hf_hub_download
from networks import assert_equal_states, snapshot
from torch.utils.data import Subset

import prunnet_pml as prunnet
from prunnet_pml.datasets import named_images
from prunnet_pml.hub import (
    CatalogueEntry,
    Manifest,
    catalogue,
    describe,
    download,
    from_pretrained,
    publish,
    upgrade,
)
from prunnet_pml.hub.catalogue import CATALOGUE, CHECKPOINTS
from prunnet_pml.space import space_id

ENTRIES = pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)


def images(entry: CatalogueEntry) -> torch.Tensor:
    channels, *size = json.loads((entry.folder / "config.json").read_text())["pretrained_cfg"][
        "input_size"
    ]
    return torch.randn(2, channels, *size)


def test_the_data_file_lists_every_folder_and_nothing_else() -> None:
    assert len(catalogue()) >= 3
    names = {entry.name for entry in catalogue()}
    assert names == {folder.name for folder in CHECKPOINTS.iterdir()}
    raw = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    assert [entry.to_json() for entry in catalogue()] == raw


def test_all_of_them_are_small_enough_to_come_with_the_package() -> None:
    files = [file for file in CHECKPOINTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 10e6


@ENTRIES
def test_every_capacity_loads_and_is_the_prunable_network_pruned(entry: CatalogueEntry) -> None:
    model, batch = from_pretrained(entry.name), images(entry)
    own_statistics = Manifest.read(entry.folder).norm_capacities
    below = [0.1] if 0.1 in own_statistics else []  # others warn, and want calibration
    for capacity in (*entry.capacities, 0.5, *below):  # each band, one between, one below
        student = from_pretrained(entry.name, capacity)
        assert not prunnet.network.is_prunable(student)
        assert_equal_states(student, snapshot(prunnet.prune(model, capacity)))
        with torch.no_grad():
            assert torch.isfinite(student(batch)).all()


@ENTRIES
def test_sizes_and_results_are_those_of_the_files(entry: CatalogueEntry) -> None:
    found = describe(entry.name)
    manifest = found.manifest
    assert entry.backbone == found.architecture
    assert entry.licence == found.licence
    assert entry.capacities == manifest.capacities
    assert entry.sizes == {c: manifest.bytes_for(c) for c in manifest.capacities}
    assert entry.prunable_size == manifest.bytes_for(None)
    assert manifest.missing(entry.folder, None) == []
    assert found.metric == "recall_at_1"
    assert entry.recall_at_1 == {c: round(v, 6) for c, v in found.headline.items()}
    assert entry.recall_at_1.keys() == set(entry.capacities)
    student = from_pretrained(entry.name, 1.0)
    assert entry.parameters == sum(p.numel() for p in student.parameters())


@ENTRIES
def test_the_card_shows_what_the_catalogue_says(entry: CatalogueEntry) -> None:
    card = (entry.folder / "README.md").read_text(encoding="utf-8")
    assert faults(card) == []
    for capacity, value in entry.recall_at_1.items():
        assert f"| {capacity:.0%} | {100 * value:.1f} |" in card
    for line in (f"- {key}: {value}" for key, value in entry.recipe.items()):
        assert line in card
    for picture in ("evaluation/curve.png", "evaluation/matrix.png"):
        assert picture in card
        assert (entry.folder / picture).is_file()


@ENTRIES
def test_a_few_images_are_found_about_as_often_as_it_says(entry: CatalogueEntry) -> None:
    """Among a sixteenth of the letters it is easier; a network that was mixed up finds nothing."""
    model = from_pretrained(entry.name)
    found = named_images("glyphs", model)
    chosen = [i for i, label in enumerate(found.labels.tolist()) if label % 16 == 0]
    few = Subset(found, chosen)
    matrix = prunnet.evaluate(model, few, capacities=(1.0, 0.2))
    for capacity, value in matrix.cross_test().items():
        assert value > entry.recall_at_1[capacity]


@pytest.mark.slow
@ENTRIES
def test_what_was_measured_can_be_measured_again(entry: CatalogueEntry) -> None:
    model = from_pretrained(entry.name)
    matrix = prunnet.evaluate(model, named_images("glyphs", model), capacities=entry.capacities)
    for capacity, value in matrix.cross_test().items():
        assert value == pytest.approx(entry.recall_at_1[capacity], abs=2e-3)


@ENTRIES
def test_published_it_is_the_same_network_and_stock_timm_loads_it(
    entry: CatalogueEntry, hub: Endpoint
) -> None:
    import timm

    commit = publish(entry.name, "team/published", private=True, tag="v1")
    assert HfApi().model_info("team/published").private
    assert_equal_states(from_pretrained("team/published"), snapshot(from_pretrained(entry.name)))
    ours, theirs = (describe(name).manifest for name in (entry.name, "team/published"))
    assert theirs.space_id == ours.space_id
    for name, record in ours.files.items():  # bands and scores to the byte
        assert theirs.files[name].sha256 == record.sha256
    dense = timm.create_model("hf-hub:team/published@v1", pretrained=True)
    assert_equal_states(dense, snapshot(from_pretrained(entry.name, 1.0)))
    card = Path(hf_hub_download("team/published", "README.md", revision=commit.oid)).read_text()
    assert faults(card) == []
    assert 'from_pretrained("team/published", capacity=0.2)' in card
    assert "evaluation/matrix.png" in HfApi().list_repo_files("team/published")


def test_a_name_can_be_pulled_and_upgraded_where_a_folder_is_called_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = catalogue()[0]
    folder = download(entry.name, 0.2, folder=entry.name)
    assert folder == Path(entry.name)
    files = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    manifest = Manifest.read(folder)
    assert files == {"config.json", "prunnet/source.json", *manifest.files_for(0.2)}
    upgrade(folder, 0.4)
    assert manifest.missing(folder, 0.4) == []


def test_it_needs_no_network_and_knows_its_space(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("no connection should be made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for entry in catalogue():
        model = from_pretrained(entry.name)
        assert space_id(model) == Manifest.read(entry.folder).space_id


@pytest.mark.parametrize("use", [from_pretrained, describe, lambda name: publish(name, "a/b")])
def test_a_name_that_is_none_is_answered_with_those_there_are(use: object) -> None:
    with pytest.raises(ValueError, match=r"prunnet_resnet18\.glyphs"):
        use("prunnet_resnet18.glyfs")
