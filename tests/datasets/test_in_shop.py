"""In-shop: its list read from wherever releases have it, and its protocol."""

from pathlib import Path

import pytest
import torch
from made_folders import IN_SHOP, make_in_shop

from prunnet_pml.datasets import InShop
from prunnet_pml.evaluation import CompatibilityMatrix


@pytest.mark.parametrize("partition", ["Eval", "Anno", "Img", ""])
@pytest.mark.parametrize("images", ["Img", ""])
def test_every_layout_that_people_have_is_found(
    tmp_path: Path, partition: str, images: str
) -> None:
    root = make_in_shop(tmp_path, partition, images)
    for split in InShop.splits:
        data = InShop(root, split)
        expected = [(image, item) for image, item, of in IN_SHOP if of == split]
        assert [Path(path) for path in data.paths] == [root / images / i for i, _ in expected]
        assert [data.classes[label] for label in data.labels] == [item for _, item in expected]


def test_query_and_gallery_number_their_garments_alike_and_training_has_no_gap(
    tmp_path: Path,
) -> None:
    root = make_in_shop(tmp_path)
    train, query, gallery = (InShop(root, split) for split in InShop.splits)
    assert query.classes == gallery.classes == ["id_00000001", "id_00007970"]
    assert sorted(set(train.labels)) == [0, 1]
    assert not set(train.classes) & set(query.classes)


def test_recall_and_map_count_the_same_garment_in_the_gallery(tmp_path: Path) -> None:
    root = make_in_shop(tmp_path)
    query, gallery = InShop(root, "query"), InShop(root, "gallery")
    protocol = query.protocol(gallery)
    assert [found.tolist() for found in protocol.ground_truth.relevant] == [[0, 2], [1], [0, 2]]
    assert all(len(found) == 0 for found in protocol.ground_truth.junk)
    embedded, indexed = torch.tensor([[0.0], [2.0], [0.9]]), torch.tensor([[0.0], [1.0], [3.0]])
    matrix = CompatibilityMatrix.from_protocol(protocol, {1.0: embedded}, {1.0: indexed})
    assert matrix.value("recall_at_1", 1.0, 1.0) == pytest.approx(2 / 3)
    assert matrix.value("recall_at_10", 1.0, 1.0) == 1
    ap = [(1 + 2 / 3) / 2, 1, (1 / 2 + 2 / 3) / 2]
    assert matrix.value("mean_average_precision", 1.0, 1.0) == pytest.approx(sum(ap) / 3)
    assert {f"recall_at_{k}" for k in (1, 10, 20, 30, 40, 50)} < set(matrix.values)


def test_list_of_another_form_is_refused(tmp_path: Path) -> None:
    root = make_in_shop(tmp_path)
    (root / "Eval" / "list_eval_partition.txt").write_text("1\nhead\na.jpg id_1 val\n")
    with pytest.raises(ValueError, match=r"should have lines of .* Found 'a.jpg id_1 val'."):
        InShop(root, "train")
