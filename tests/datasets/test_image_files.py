"""What all benchmarks of image files do alike: lazy RGB images, missing files, evaluation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_folders import (
    make_google_landmarks,
    make_image,
    make_in_shop,
    make_online_products,
    make_revisited,
    make_veri776,
)
from PIL import Image
from pytorch_metric_learning.datasets import StanfordOnlineProducts
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.datasets import (
    BaseDataset,
    GoogleLandmarksV2,
    InShop,
    RevisitedOxford,
    RevisitedParis,
    VeRi776,
)

MADE: dict[type[BaseDataset], Callable[[Path], Path]] = {
    GoogleLandmarksV2: make_google_landmarks,
    InShop: make_in_shop,
    RevisitedOxford: lambda root: make_revisited(root, "roxford5k"),
    RevisitedParis: lambda root: make_revisited(root, "rparis6k"),
    VeRi776: make_veri776,
}
SPLITS = [pytest.param(kind, s, id=f"{kind.__name__}-{s}") for kind in MADE for s in kind.splits]
KINDS = [pytest.param(kind, id=kind.__name__) for kind in MADE]


def to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1) / 255


@pytest.mark.parametrize(("kind", "split"), SPLITS)
def test_item_is_an_rgb_image_and_its_label(
    tmp_path: Path, kind: type[BaseDataset], split: str
) -> None:
    data = kind(MADE[kind](tmp_path), split)
    assert len(data) == len(data.paths) == len(data.labels) > 0
    for index in range(len(data)):
        image, label = data[index]
        assert image.mode == "RGB"
        assert label == data.labels[index]
        with Image.open(data.paths[index]) as expected:
            assert image.getpixel((0, 0)) == expected.getpixel((0, 0))


def test_grey_image_is_opened_as_rgb_and_goes_through_the_transform(tmp_path: Path) -> None:
    root = make_veri776(tmp_path)
    data = VeRi776(root, "train", to_tensor)
    Image.new("L", (8, 6), 51).save(data.paths[1])
    image, _ = data[1]
    torch.testing.assert_close(image, torch.full((3, 8, 8), 0.2), atol=0.01, rtol=0)


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    root = make_veri776(tmp_path)
    for path in (root / "image_train").iterdir():
        path.write_bytes(b"no image")
    assert len(VeRi776(root, "train")) == 3


@pytest.mark.parametrize(("kind", "split"), SPLITS)
def test_every_missing_file_is_noticed_and_comes_with_the_source(
    tmp_path: Path, kind: type[BaseDataset], split: str
) -> None:
    root = MADE[kind](tmp_path)
    first, *_, last = kind(root, split).paths
    Path(last).unlink()
    with pytest.raises(FileNotFoundError) as one:
        kind(root, split)
    assert f"{kind.name} is not complete: {last} not found." in str(one.value)
    assert str(one.value).endswith(f"Source: {kind.source}")
    total = len(kind(MADE[kind](tmp_path), split))
    Path(first).unlink()
    Path(last).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{first} and 1 more of {total} files not found."):
        kind(root, split)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_or_absent_folder_names_the_list_to_get(
    tmp_path: Path, kind: type[BaseDataset]
) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=r"\.(txt|csv|pkl)( and 1 more .*)? not found"):
            kind(root, "query")


def test_folder_may_be_the_one_we_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_veri776(tmp_path))
    assert len(VeRi776("", "query")) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_split_is_refused(tmp_path: Path, kind: type[BaseDataset]) -> None:
    with pytest.raises(ValueError, match=r"`split` should be one of .* Found 'val'."):
        kind(tmp_path, "val")


@pytest.mark.parametrize("kind", KINDS)
def test_protocol_wants_the_query_split_and_its_own_gallery(
    tmp_path: Path, kind: type[BaseDataset]
) -> None:
    root = MADE[kind](tmp_path)
    query, gallery = kind(root, "query"), kind(root, "gallery")
    with pytest.raises(ValueError, match=r"should be 'query' for a protocol\. Found 'gallery'"):
        gallery.protocol(gallery)
    with pytest.raises(ValueError, match=rf"the gallery of {kind.name}. Found .* 'query'."):
        query.protocol(query)
    other = next(k for k in MADE if k is not kind)
    with pytest.raises(ValueError, match=rf"the gallery of {kind.name}. Found {other.__name__}"):
        query.protocol(other(MADE[other](tmp_path / "other"), "gallery"))


@pytest.fixture
def model() -> nn.Module:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 4))
    return prunnet.make_prunable(plain, capacities=(0.4,))


@pytest.mark.parametrize("kind", KINDS)
def test_whole_evaluation_from_folder_to_matrix(
    tmp_path: Path, kind: type[BaseDataset], model: nn.Module
) -> None:
    root = MADE[kind](tmp_path)
    query, gallery = kind(root, "query", to_tensor), kind(root, "gallery", to_tensor)
    matrix = prunnet.evaluate(model, query, gallery, protocol=query.protocol(gallery))
    assert matrix.capacities == (1.0, 0.4)
    for metric in matrix.values:
        assert ((matrix[metric] >= 0) & (matrix[metric] <= 1)).all()


def test_same_images_in_query_and_gallery_find_each_other(tmp_path: Path, model: nn.Module) -> None:
    root = make_in_shop(tmp_path)
    query, gallery = InShop(root, "query", to_tensor), InShop(root, "gallery", to_tensor)
    for data in (query, gallery):
        for path, label in zip(data.paths, data.labels, strict=True):
            make_image(Path(path), ((20, 220, 40), (220, 20, 230))[label])
    protocol = query.protocol(gallery)
    matrix = prunnet.evaluate(model, query, gallery, (1.0,), protocol=protocol)
    assert matrix.value("recall_at_1", 1.0, 1.0) == 1
    assert matrix.value("mean_average_precision", 1.0, 1.0) == 1


def test_data_set_of_pml_is_evaluated_by_its_labels(tmp_path: Path, model: nn.Module) -> None:
    data = StanfordOnlineProducts(make_online_products(tmp_path), "test", transform=to_tensor)
    matrix = prunnet.evaluate(model, data)
    assert 0 <= matrix.value("recall_at_1", query=0.4, gallery=1.0) <= 1


def test_a_list_without_images_is_an_error(tmp_path: Path) -> None:
    make_veri776(tmp_path)
    (tmp_path / "name_query.txt").write_text("")
    with pytest.raises(ValueError, match="should hold images of the split 'query' of VeRi-776"):
        VeRi776(tmp_path, "query")
