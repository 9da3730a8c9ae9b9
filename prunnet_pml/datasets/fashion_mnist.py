"""Fashion-MNIST from its idx files: small photographs for everyday use."""

import gzip
import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from prunnet_pml.datasets.missing_files import check_files

_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_FILES = {"train": "train", "test": "t10k"}
_KEPT = {"train": (1, 5, 7, 8, 9), "test": (0, 2, 3, 4, 6)}  # disjoint; the test's look alike


class FashionMNIST(Dataset[tuple[Tensor, int]]):
    """Photographs of clothes, 28 x 28 pixels: train on five classes, search five others.

    From Xiao et al., "Fashion-MNIST" (2017), MIT licence. The training split holds the 30,000
    training images of trousers, sandals, sneakers, bags and ankle boots; the test split the 5,000
    test images of T-shirts, pullovers, dresses, coats and shirts, which look alike: searched by
    their pixels, Recall@1 is 73.2%. See ``docs/datasets/fashion-mnist.md``.

    Args:
        root: Holds the four ``.gz`` files. By default where Debian and Ubuntu install their
            package ``dataset-fashion-mnist``.
        split: ``"train"`` or ``"test"``: disjoint classes.
        transform: A last step on each image ``[1, 28, 28]``, in [0, 1].
        held_out: Whether the test's classes are held out of the training. Otherwise both splits
            hold all ten: 60,000 and 10,000 images. Five classes are too few to learn from how to
            tell others apart; ten, seen in training, make a small trial of a whole training.

    Attributes:
        images: uint8 ``[n, 1, 28, 28]``.
        labels: int64 ``[n]``, positions in ``classes``.
        classes: The names of the split's classes.

    Raises:
        ValueError: If there is no such split, or a file is not what its name says.
        FileNotFoundError: If a file is missing; names it, and the source.
    """

    name = "Fashion-MNIST"
    source = (
        "https://github.com/zalandoresearch/fashion-mnist (MIT), or "
        "`apt install dataset-fashion-mnist`"
    )

    def __init__(
        self,
        root: str | os.PathLike[str] = "/usr/share/datasets/fashion-mnist",
        split: str = "train",
        transform: Callable[[Tensor], Any] | None = None,
        held_out: bool = True,
    ) -> None:
        if split not in _FILES:
            raise ValueError(f"`split` should be 'train' or 'test'. Found {split!r}.")
        files = [
            Path(root, f"{_FILES[split]}-{content}-ubyte.gz")
            for content in ("images-idx3", "labels-idx1")
        ]
        check_files(files, self.name, self.source)
        images, labels = _read_idx(files[0], 3), _read_idx(files[1], 1)
        if len(images) != len(labels) or images.shape[1:] != (28, 28) or labels.max() > 9:
            found = f"{tuple(images.shape)} and {tuple(labels.shape)}"
            raise ValueError(f"{root} should hold images of 28 x 28 and labels. Found {found}.")
        kept = _KEPT[split] if held_out else range(10)
        position = torch.full((10,), -1)
        position[list(kept)] = torch.arange(len(kept))
        labels = position[labels.long()]  # -1 for those of the other split
        self.root, self.split, self.transform = Path(root), split, transform
        self.images = images[labels >= 0].unsqueeze(1)
        self.labels = labels[labels >= 0]
        self.classes = [_CLASSES[i] for i in kept]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.images[index] / 255
        label = int(self.labels[index])
        return image if self.transform is None else self.transform(image), label


def _read_idx(file: Path, dimensions: int) -> Tensor:
    """Bytes behind a head of 4-byte big-endian numbers: type 8 and dimensions, then the sizes."""
    head = 4 * (1 + dimensions)
    try:
        content = gzip.decompress(file.read_bytes())
        magic, *sizes = struct.unpack(f">{1 + dimensions}I", content[:head])
    except (OSError, EOFError, struct.error) as error:  # not gzip, cut off, shorter than a head
        raise ValueError(f"{file} should be a gzipped idx file. Found: {error}.") from error
    if magic != 0x800 + dimensions or len(content) != head + math.prod(sizes):
        raise ValueError(
            f"{file} should hold bytes in {dimensions} dimensions. Found {len(content)} bytes with "
            f"the head {content[:head].hex()}."
        )
    return torch.frombuffer(bytearray(content[head:]), dtype=torch.uint8).view(sizes)
