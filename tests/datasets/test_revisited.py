"""Revisited Oxford and Paris: a pickle that can run nothing, cropped queries, three set-ups."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from made_folders import REVISITED_GALLERY, REVISITED_QUERIES, make_image, make_revisited
from PIL import Image

from prunnet_pml.datasets import RevisitedOxford, RevisitedParis
from prunnet_pml.datasets.plain_pickle import read_plain_pickle

SETS = {"roxford5k": RevisitedOxford, "rparis6k": RevisitedParis}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("arrays", [False, True], ids=["lists", "arrays"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_images_and_set_ups_are_those_of_the_ground_truth(
    tmp_path: Path, name: str, arrays: bool, protocol: int
) -> None:
    root = make_revisited(tmp_path, name, protocol, arrays)
    query, gallery = SETS[name](root, "query"), SETS[name](root, "gallery")
    assert [Path(path).stem for path in query.paths] == REVISITED_QUERIES
    assert [Path(path) for path in gallery.paths] == [
        root / "jpg" / f"{image}.jpg" for image in REVISITED_GALLERY
    ]
    assert (query.labels, gallery.labels) == ([-1, -2], [0, 1, 2, 3, 4, 5])
    truths = query.protocol(gallery).ground_truths
    found = {s: [sorted(r.tolist()) for r in truth.relevant] for s, truth in truths.items()}
    assert found == {"easy": [[0, 3], []], "medium": [[0, 3, 5], [2, 4]], "hard": [[5], [2, 4]]}
    junk = {s: [sorted(j.tolist()) for j in truth.junk] for s, truth in truths.items()}
    assert junk == {"easy": [[1, 5], [2, 4]], "medium": [[1], []], "hard": [[0, 1, 3], []]}


def test_distractors_come_behind_the_gallery(tmp_path: Path) -> None:
    root = make_revisited(tmp_path, "roxford5k")
    query, gallery = RevisitedOxford(root, "query"), RevisitedOxford(root, "gallery")
    assert query.protocol(gallery, distractors=1000).ground_truth.gallery_size == 1006


def test_query_is_what_its_box_holds_and_the_gallery_is_whole(tmp_path: Path) -> None:
    root = make_revisited(tmp_path, "roxford5k")
    photograph = root / "jpg" / f"{REVISITED_QUERIES[0]}.jpg"
    make_image(photograph, (250, 10, 10), (64, 48))
    with Image.open(photograph) as image:
        image.paste((10, 10, 250), (2, 1, 6, 4))  # the box of the first query, rounded
        image.save(photograph, quality=100, subsampling=0)
    query = RevisitedOxford(root, "query", np.asarray)
    assert query[0][0].shape == (3, 4, 3)
    assert query[0][0][1, 2, 2] > query[0][0][1, 2, 0]  # blue
    assert query[1][0].shape == (6, 8, 3)
    assert RevisitedOxford(root, "gallery", np.asarray)[0][0].shape == (6, 8, 3)


def test_array_that_python_2_wrote_is_read(tmp_path: Path) -> None:
    written = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02i8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tbI00\nU\x10\x03" + bytes(7) + b"\xc8" + bytes(7) + b"tb."
    )
    file = tmp_path / "array.pkl"
    file.write_bytes(written)
    assert read_plain_pickle(file).tolist() == [3, 200]


class Stranger:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def test_pickle_that_would_run_something_is_refused_and_nothing_is_run(tmp_path: Path) -> None:
    root = make_revisited(tmp_path, "roxford5k")
    folder = tmp_path / "made by the pickle"
    content = {"gnd": [], "imlist": [Stranger(folder)], "qimlist": []}
    (root / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(ValueError, match=r"numbers and arrays alone. Found: .*\.mkdir"):
        RevisitedOxford(root, "query")
    assert not folder.exists()
    pickle.loads(pickle.dumps(content, 2))  # what the test is worth
    assert folder.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"<html>404</html>",
        b"",
        pickle.dumps(eval, 2),
        pickle.dumps(np.memmap, 2),
        pickle.dumps(np.testing.assert_equal, 2),
    ],
    ids=["a web page", "empty", "a builtin", "a numpy class", "a numpy function"],
)
def test_file_that_is_no_plain_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    root = make_revisited(tmp_path, "roxford5k")
    (root / "gnd_roxford5k.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=r"gnd_roxford5k.pkl should be a pickle of dicts, lists"):
        RevisitedOxford(root, "query")


@pytest.mark.parametrize(
    "content", [{"imlist": []}, [1, 2], {"imlist": [], "qimlist": [], "gnd": [{}]}]
)
def test_pickle_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    root = make_revisited(tmp_path, "roxford5k")
    (root / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(ValueError, match=r"should hold imlist, qimlist, and gnd"):
        RevisitedOxford(root, "query")


def test_there_is_nothing_to_train_with(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"one of \('query', 'gallery'\). Found 'train'."):
        RevisitedParis(make_revisited(tmp_path, "rparis6k"), "train")


@pytest.mark.parametrize("dataset", SETS.values())
def test_there_is_no_split_by_default(tmp_path: Path, dataset: type) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'split'"):
        dataset(tmp_path)
