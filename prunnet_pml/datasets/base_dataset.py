"""What the data sets of image files have in common."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch.utils.data import Dataset

from prunnet_pml.datasets.missing_files import check_files

if TYPE_CHECKING:
    from PIL.Image import Image


class BaseDataset(ABC, Dataset[tuple[Any, int]]):
    """Images in the folder that a benchmark's release unpacks to, opened when they are asked for.

    Speaks the language of PML's ``BaseDataset`` (``split``, ``paths``, ``labels``,
    ``generate_split``), but downloads nothing, looks for missing files at once, and opens every
    image as RGB.

    Args:
        root: The folder of the release.
        split: One of :attr:`splits`.
        transform: Called with each PIL image.

    Attributes:
        name: What the data set is called.
        source: Where it is to be had, and under which licence.
        splits: The splits that it has.
        paths: One file for each image.
        labels: One integer for each image.

    Raises:
        ValueError: If there is no such split, or nothing in it.
        FileNotFoundError: If a file is missing; names it, and the source.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = ("train", "query", "gallery")

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        transform: Callable[["Image"], Any] | None = None,
    ) -> None:
        if split not in self.splits:
            raise ValueError(f"`split` should be one of {self.splits}. Found {split!r}.")
        self.root, self.split, self.transform = Path(root), split, transform
        self.paths, self.labels = self.generate_split()
        if not self.paths:
            raise ValueError(
                f"`root` should hold images of the split {split!r} of {self.name}. "
                f"Found none in {self.root}'s lists. Source: {self.source}."
            )
        self.need(*self.paths)

    @abstractmethod
    def generate_split(self) -> tuple[list[str], list[int]]:
        """The split's image files and their labels."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.open_image(index)
        return image if self.transform is None else self.transform(image), self.labels[index]

    def open_image(self, index: int) -> "Image":
        """One image, as RGB, before the transform."""
        from PIL import Image

        with Image.open(self.paths[index]) as image:
            loaded: Image.Image = image.convert("RGB")
        return loaded

    def need(self, *files: str | Path) -> None:
        """Raises an error with the source in it if one of the files is missing."""
        check_files(files, self.name, self.source)

    def check_pair(self, gallery: "BaseDataset") -> None:
        """Raises an error unless this is the query split, and the other the gallery, of one set."""
        if self.split != "query":
            raise ValueError(f"`split` should be 'query' for a protocol. Found {self.split!r}.")
        if type(gallery) is not type(self) or gallery.split != "gallery":
            found = f"{type(gallery).__name__} {getattr(gallery, 'split', '')!r}"
            raise ValueError(f"`gallery` should be the gallery of {self.name}. Found {found}.")


def numbered(names: list[str]) -> tuple[list[str], dict[str, int]]:
    """The distinct names in order, and the position of each: labels from 0 without a gap."""
    classes = sorted(set(names))
    return classes, {name: label for label, name in enumerate(classes)}
