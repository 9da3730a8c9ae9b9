"""Google Landmarks v2: its lists, its draw of landmarks, and its ground truth by image name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made_folders import CLEAN, INDEX, LANDMARKS, make_google_landmarks

from prunnet_pml.datasets import GoogleLandmarksV2
from prunnet_pml.evaluation import CompatibilityMatrix


@pytest.mark.parametrize("lists_apart", [True, False])
@pytest.mark.parametrize("clean", [True, False])
def test_training_lists_are_read_whole(tmp_path: Path, lists_apart: bool, clean: bool) -> None:
    root = make_google_landmarks(tmp_path, lists_apart)
    data = GoogleLandmarksV2(root, "train", clean=clean)
    assert data.classes == [5, 27, 301]
    found = {c: [] for c in data.classes}
    for image, label in zip(data.ids, data.labels, strict=True):
        found[data.classes[label]].append(image)
    assert found == (CLEAN if clean else LANDMARKS)
    at = data.ids.index("2a1b2c3d4e5f6073")
    assert Path(data.paths[at]) == root / "train/2/a/1/2a1b2c3d4e5f6073.jpg"


def test_landmark_with_more_images_than_a_csv_field_holds_is_read(tmp_path: Path) -> None:
    root = make_google_landmarks(tmp_path)
    many = " ".join(f"{i:016x}" for i in range(9000))  # 152,999 characters
    (root / "train" / "train_clean.csv").write_text(f"landmark_id,images\n138982,{many}\n")
    with pytest.raises(FileNotFoundError, match=r"0000.jpg and 8999 more of 9000 files not found"):
        GoogleLandmarksV2(root)


def landmarks_of(root: Path, count: int) -> Path:
    """So many landmarks, listed in another order than that of their numbers; one image for all."""
    make_google_landmarks(root)
    rows = [f"{7 * i},abcdef0123456789\n" for i in range(count)]
    (root / "train" / "train_clean.csv").write_text("landmark_id,images\n" + "".join(rows[::-1]))
    return root


def test_share_of_the_landmarks_is_drawn_alike_every_time_and_smaller_ones_are_nested(
    tmp_path: Path,
) -> None:
    root = landmarks_of(tmp_path, 1000)
    shares = {f: GoogleLandmarksV2(root, class_fraction=f) for f in (0.1, 0.3, 0.7, 1.0)}
    assert [len(data.classes) for data in shares.values()] == [100, 300, 700, 1000]
    assert set(shares[0.1].classes) < set(shares[0.3].classes) < set(shares[0.7].classes)
    assert shares[0.3].classes == sorted(shares[0.3].classes)
    assert shares[0.3].labels == list(range(300))
    assert 0.4 < np.mean(np.array(shares[0.3].classes) < 3500) < 0.6  # from all over the list
    assert GoogleLandmarksV2(root, class_fraction=0.3).classes == shares[0.3].classes


def test_paper_trains_on_24393_landmarks_that_a_published_script_draws(tmp_path: Path) -> None:
    data = GoogleLandmarksV2(landmarks_of(tmp_path, 81313), class_fraction=0.3)
    np.random.seed(666)
    shuffled = np.arange(81313)
    np.random.shuffle(shuffled)
    assert len(data.classes) == 24393
    assert data.classes == [7 * i for i in sorted(shuffled[:24393].tolist())]


@pytest.mark.parametrize(
    ("usage", "queries", "relevant"),
    [
        ("private", ["5e00000000000001", "7e00000000000004"], [[4, 1], [6]]),
        ("public", ["5e00000000000002"], [[0]]),
    ],
)
def test_ground_truth_names_images_of_the_index(
    tmp_path: Path, usage: str, queries: list[str], relevant: list[list[int]]
) -> None:
    root = make_google_landmarks(tmp_path)
    query = GoogleLandmarksV2(root, "query", usage=usage)
    gallery = GoogleLandmarksV2(root, "gallery")
    assert (query.ids, gallery.ids) == (queries, INDEX)
    assert query.labels == [-1, -2][: len(queries)]
    assert gallery.labels == list(range(7))
    assert Path(query.paths[0]) == root / "test" / "5" / "e" / "0" / f"{queries[0]}.jpg"
    assert Path(gallery.paths[6]) == root / "index" / "6" / "c" / "0" / f"{INDEX[6]}.jpg"
    protocol = query.protocol(gallery)
    assert [found.tolist() for found in protocol.ground_truth.relevant] == relevant
    assert protocol.ground_truth.gallery_size == 7


def test_metrics_by_label_are_nan_not_wrong(tmp_path: Path) -> None:
    root = make_google_landmarks(tmp_path)
    query, gallery = GoogleLandmarksV2(root, "query"), GoogleLandmarksV2(root, "gallery")
    matrix = CompatibilityMatrix.from_embeddings(
        {1.0: torch.rand(2, 3)}, torch.tensor(query.labels),
        {1.0: torch.rand(7, 3)}, torch.tensor(gallery.labels),
    )  # fmt: skip
    assert all(np.isnan(matrix[metric]).all() for metric in matrix.values)


def test_relevant_image_outside_the_index_is_named(tmp_path: Path) -> None:
    root = make_google_landmarks(tmp_path)
    (root / "index" / "index.csv").write_text("\n".join(["id", *INDEX[:4]]))
    query, gallery = GoogleLandmarksV2(root, "query"), GoogleLandmarksV2(root, "gallery")
    with pytest.raises(ValueError, match=rf"hold every relevant image. Found no {INDEX[4]} in it."):
        query.protocol(gallery)


def test_arguments_and_lists_that_do_not_fit_are_named(tmp_path: Path) -> None:
    root = make_google_landmarks(tmp_path)
    with pytest.raises(ValueError, match=r"`class_fraction` should be in \(0, 1\]. Found 30."):
        GoogleLandmarksV2(root, class_fraction=30)
    with pytest.raises(ValueError, match=r"`usage` should be one of .* Found 'test'."):
        GoogleLandmarksV2(root, "query", usage="test")
    (root / "index" / "index.csv").write_text("image\n")
    with pytest.raises(ValueError, match=r"index.csv should begin with 'id'. Found 'image'."):
        GoogleLandmarksV2(root, "gallery")
