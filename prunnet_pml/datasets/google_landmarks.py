"""Google Landmarks v2."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from prunnet_pml.datasets.base_dataset import BaseDataset
from prunnet_pml.datasets.missing_files import first_of
from prunnet_pml.evaluation.protocols import GroundTruth, LandmarkProtocol

if TYPE_CHECKING:
    from PIL.Image import Image

_FOLDERS = {"train": "train", "query": "test", "gallery": "index"}  # what the release calls them
_USAGES = ("private", "public")


class GoogleLandmarksV2(BaseDataset):
    """Google Landmarks v2: find photographs of the same landmark among 761,757.

    From Weyand et al. (CVPR 2020). The clean training list has 1,580,470 images of 81,313
    landmarks, the full one 4,132,914 images; of the 117,577 test images 750 private and 379 public
    ones have a ground truth and are queries. See ``docs/datasets/google-landmarks-v2.md``.

    The labels of the training split number its landmarks. In the other splits landmarks are not
    what counts: there a label is the image's position, in the gallery from 0 up, of the queries
    from -1 down. So query and gallery never share one, and metrics by label are NaN, not wrong.

    Args:
        root: Holds the folders ``train``, ``index`` and ``test``, with images as
            ``train/0/1/2/0123456789abcdef.jpg``; the lists are in those folders or in itself.
        split: ``"train"``, ``"query"`` (the release's test images) or ``"gallery"`` (its index).
        transform: Called with each PIL image.
        clean: Whether to train with ``train_clean.csv`` rather than ``train.csv``.
        class_fraction: Share of the landmarks to train with, in (0, 1]; 0.3 is the 24,393 of the
            PrunNet paper. The draw is always the same one, and a smaller share is part of a
            larger: see the page on what is known of the paper's own.
        usage: Which queries: ``"private"``, which the papers report, or ``"public"``.

    Attributes:
        paths: One file for each image.
        labels: See above.
        ids: The release's name for each image.
        classes: Numbers of the landmarks that are trained with, ascending; empty in other splits.

    Raises:
        ValueError: If an argument is not one of those above, or a list has another head.
        FileNotFoundError: If a file is missing; names it, and the source.
    """

    name = "Google Landmarks v2"
    source = (
        "https://github.com/cvdfoundation/google-landmark (annotations CC BY 4.0; training images "
        "CC BY, index and test images CC0 or in the public domain)"
    )

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        transform: Callable[["Image"], Any] | None = None,
        *,
        clean: bool = True,
        class_fraction: float = 1.0,
        usage: str = "private",
    ) -> None:
        if not 0 < class_fraction <= 1:
            raise ValueError(f"`class_fraction` should be in (0, 1]. Found {class_fraction}.")
        if usage not in _USAGES:
            raise ValueError(f"`usage` should be one of {_USAGES}. Found {usage!r}.")
        self.clean, self.class_fraction, self.usage = clean, class_fraction, usage
        self.ids: list[str] = []
        self.classes: list[int] = []
        self._relevant: list[list[str]] = []  # for each query, ids in the gallery
        super().__init__(root, split, transform)

    def generate_split(self) -> tuple[list[str], list[int]]:
        labels = self._read_training() if self.split == "train" else self._read_evaluation()
        folder = str(self.root / _FOLDERS[self.split])
        return [f"{folder}/{i[0]}/{i[1]}/{i[2]}/{i}.jpg" for i in self.ids], labels

    def protocol(self, gallery: "GoogleLandmarksV2") -> LandmarkProtocol:
        """mAP@100 of these queries, with the ground truth of version 2.1.

        Args:
            gallery: The gallery split.

        Raises:
            ValueError: If this is not the query split, the other not the gallery, or a relevant
                image not in it.
        """
        self.check_pair(gallery)
        position = {image: i for i, image in enumerate(gallery.ids)}
        absent = {image for images in self._relevant for image in images} - position.keys()
        if absent:
            raise ValueError(
                f"`gallery` should hold every relevant image. Found no {min(absent)} in it."
            )
        relevant = [
            np.array([position[image] for image in dict.fromkeys(row)], np.int64)
            for row in self._relevant
        ]
        no_junk = [np.array([], np.int64)] * len(relevant)
        return LandmarkProtocol(GroundTruth(relevant, no_junk, len(gallery)))

    def _read_training(self) -> list[int]:
        images: dict[int, list[str]] = defaultdict(list)
        if self.clean:
            for landmark, listed in self._rows("train_clean.csv", "landmark_id,images"):
                images[int(landmark)] += listed.split()
        else:
            for image, _, landmark in self._rows("train.csv", "id,url,landmark_id"):
                images[int(landmark)].append(image)
        self.classes = _drawn(sorted(images), self.class_fraction)
        self.ids = [image for landmark in self.classes for image in images[landmark]]
        return [label for label, c in enumerate(self.classes) for _ in images[c]]

    def _read_evaluation(self) -> list[int]:
        if self.split == "gallery":
            self.ids = [image for (image,) in self._rows("index.csv", "id")]
            return list(range(len(self.ids)))
        for image, relevant, usage in self._rows("retrieval_solution_v2.1.csv", "id,images,Usage"):
            if usage.lower() == self.usage:
                self.ids.append(image)
                self._relevant.append(relevant.split())
        return [-1 - query for query in range(len(self.ids))]

    def _rows(self, file: str, head: str) -> Iterator[list[str]]:
        path = first_of(self.root / _FOLDERS[self.split] / file, self.root / file)
        self.need(path)
        with path.open(encoding="utf-8") as lines:
            found = next(lines, "").strip()
            if found != head:
                raise ValueError(f"{path} should begin with {head!r}. Found {found!r}.")
            for line in filter(None, map(str.strip, lines)):
                yield _fields(line, head.count(",") + 1)


def _fields(line: str, columns: int) -> list[str]:
    """One, two or three fields; only the middle one of three, a URL, has commas.

    The csv module would stop at a field of 131,072 characters, and the largest landmarks have more.
    """
    first, _, rest = line.partition(",")
    if columns < 3:
        return [first, rest][:columns]
    middle, _, last = rest.rpartition(",")
    return [first, middle, last]


def _drawn(landmarks: list[int], fraction: float) -> list[int]:
    """The first of a fixed shuffle, in their old order."""
    # NumPy's legacy generator and this seed: as in the published script that writes the list that
    # the authors of PrunNet train on. Its stream never changes.
    order = np.random.RandomState(666).permutation(len(landmarks))
    return [landmarks[i] for i in sorted(order[: max(1, int(len(landmarks) * fraction))])]
