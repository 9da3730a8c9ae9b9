"""Fashion-MNIST: idx files, five classes to train with and five others to search."""

import gzip
from pathlib import Path

import pytest
import torch
from made_folders import make_fashion_mnist

from prunnet_pml.datasets import FashionMNIST


def test_training_and_test_split_are_of_other_files_and_other_classes(tmp_path: Path) -> None:
    root = make_fashion_mnist(tmp_path)
    train, test = FashionMNIST(root, "train"), FashionMNIST(root, "test")
    assert train.classes == ["Trouser", "Sandal", "Sneaker", "Bag", "Ankle boot"]
    assert test.classes == ["T-shirt/top", "Pullover", "Dress", "Coat", "Shirt"]
    for data, kept, count in ((train, (1, 5, 7, 8, 9), 60), (test, (0, 2, 3, 4, 6), 20)):
        numbers = [i for i in range(count) if i % 10 in kept]  # image i is of class i % 10
        assert data.images[:, 0, 3, 5].tolist() == numbers
        assert data.labels.tolist() == [kept.index(i % 10) for i in numbers]
        assert (data.images.dtype, data.images.shape[1:]) == (torch.uint8, (1, 28, 28))


def test_without_held_out_classes_both_splits_hold_all_ten(tmp_path: Path) -> None:
    root = make_fashion_mnist(tmp_path)
    for split, count in (("train", 60), ("test", 20)):
        data = FashionMNIST(root, split, held_out=False)
        assert data.labels.tolist() == [i % 10 for i in range(count)]
        assert data.images[:, 0, 3, 5].tolist() == list(range(count))
        assert len(data.classes) == 10


def test_item_is_an_image_in_0_to_1_and_its_label(tmp_path: Path) -> None:
    data = FashionMNIST(make_fashion_mnist(tmp_path), "test", lambda image: image * 2)
    image, label = data[9]
    assert len(data) == 10
    assert image.shape == (1, 28, 28)
    assert image[0, 3, 5] == 2 * 16 / 255
    assert label == 4


def test_missing_file_is_named_with_the_debian_package(tmp_path: Path) -> None:
    root = make_fashion_mnist(tmp_path)
    (root / "t10k-labels-idx1-ubyte.gz").unlink()
    FashionMNIST(root, "train")
    with pytest.raises(
        FileNotFoundError, match=r"t10k-labels-idx1-ubyte.gz not found.*apt install"
    ):
        FashionMNIST(root, "test")


def test_file_that_is_cut_off_or_something_else_is_refused(tmp_path: Path) -> None:
    root = make_fashion_mnist(tmp_path)
    images, labels = root / "train-images-idx3-ubyte.gz", root / "train-labels-idx1-ubyte.gz"
    whole = images.read_bytes()
    for content in (whole[: len(whole) // 2], b"<html>", b""):
        images.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"train-images-idx3-ubyte.gz should be|should hold bytes"
        ):
            FashionMNIST(root)
    images.write_bytes(gzip.compress(gzip.decompress(whole)[:-1]))
    with pytest.raises(ValueError, match=r"train-images.* should hold bytes in 3 dimensions"):
        FashionMNIST(root)
    images.write_bytes(labels.read_bytes())
    with pytest.raises(ValueError, match=r"train-images.* should hold bytes in 3 dimensions"):
        FashionMNIST(root)
    images.write_bytes((root / "t10k-images-idx3-ubyte.gz").read_bytes())
    with pytest.raises(ValueError, match=r"should hold images of 28 x 28 and labels. Found \(20, "):
        FashionMNIST(root)


def test_other_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`split` should be 'train' or 'test'. Found 'query'."):
        FashionMNIST(split="query")
