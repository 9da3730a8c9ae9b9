"""VeRi-776: vehicles and cameras out of file names, and the same camera as junk."""

from pathlib import Path

import pytest
import torch
from made_folders import VERI, make_veri776

from prunnet_pml.datasets import VeRi776
from prunnet_pml.evaluation import CompatibilityMatrix


def test_vehicle_and_camera_come_from_the_name_and_order_from_the_list(tmp_path: Path) -> None:
    root = make_veri776(tmp_path)
    for split, name in (("train", "train"), ("query", "query"), ("gallery", "test")):
        data = VeRi776(root, split)
        assert [Path(path) for path in data.paths] == [
            root / f"image_{name}" / n for n in VERI[name]
        ]
        assert [data.classes[label] for label in data.labels] == [n[:4] for n in VERI[name]]
        assert data.cameras == [int(n[6:9]) for n in VERI[name]]


def test_query_and_gallery_number_their_vehicles_alike(tmp_path: Path) -> None:
    root = make_veri776(tmp_path)
    assert VeRi776(root, "query").classes == VeRi776(root, "gallery").classes == ["0002", "0776"]
    assert VeRi776(root, "train").labels == [0, 0, 1]


def test_same_camera_is_junk_the_query_itself_among_it(tmp_path: Path) -> None:
    root = make_veri776(tmp_path)
    protocol = VeRi776(root, "query").protocol(VeRi776(root, "gallery"))
    truth = protocol.ground_truth
    assert [found.tolist() for found in truth.relevant] == [[3], [0, 5]]
    assert [found.tolist() for found in truth.junk] == [[1, 2], [4]]
    # Both queries see themselves first; the first then junk, a stranger and its match; the second
    # two strangers and both its matches.
    gallery = torch.tensor([3.0, 0.0, 0.5, 1.0, 10.0, 20.0]).unsqueeze(1)
    gallery[0], gallery[5] = 10.7, 9.2
    query = torch.tensor([[0.0], [10.0]])
    matrix = CompatibilityMatrix.from_protocol(protocol, {1.0: query}, {1.0: gallery})
    assert matrix.value("recall_at_1", 1.0, 1.0) == 1
    assert matrix.value("mean_average_precision", 1.0, 1.0) == 1
    gallery[3] = 40.0  # the first query's only match falls behind all four that are not junk
    matrix = CompatibilityMatrix.from_protocol(protocol, {1.0: query}, {1.0: gallery})
    assert matrix.value("recall_at_1", 1.0, 1.0) == 0.5
    assert matrix.value("recall_at_5", 1.0, 1.0) == 1
    assert matrix.value("mean_average_precision", 1.0, 1.0) == pytest.approx((1 / 4 + 1) / 2)


def test_name_without_a_camera_is_refused(tmp_path: Path) -> None:
    root = make_veri776(tmp_path)
    (root / "name_train.txt").write_text("000001.jpg\n")
    with pytest.raises(ValueError, match=r"0001_c001_00016450_0.jpg is. Found '000001.jpg'."):
        VeRi776(root, "train")
