"""VeRi-776: vehicles seen by street cameras."""

import re
from pathlib import Path

from prunnet_pml.datasets.base_dataset import BaseDataset, numbered
from prunnet_pml.evaluation.protocols import GroundTruth, RankingProtocol

_FILES = {"train": "train", "query": "query", "gallery": "test"}  # what the release calls them
_IMAGE = re.compile(r"(\d+)_c(\d+)_.+")  # vehicle, camera: 0001_c001_00016450_0.jpg


class VeRi776(BaseDataset):
    """VeRi-776: find the same vehicle on another camera.

    From Liu et al., "A Deep Learning-Based Approach to Progressive Vehicle Re-identification for
    Urban Surveillance" (ECCV 2016). 37,778 images of 576 vehicles to train with; 1,678 queries and
    11,579 gallery images of 200 others, on 20 cameras. The gallery holds the queries as well, which
    the protocol takes out. See ``docs/datasets/veri-776.md``.

    Args:
        root: Holds ``image_train``, ``image_query``, ``image_test`` and the lists
            ``name_train.txt``, ``name_query.txt``, ``name_test.txt``.
        split: ``"train"``, ``"query"`` or ``"gallery"`` (the release's test images).
        transform: Called with each PIL image.

    Attributes:
        paths: One file for each image.
        labels: Positions in :attr:`classes`, which query and gallery share.
        classes: The vehicles' numbers, ``"0001"`` say.
        cameras: The camera's number for each image.

    Raises:
        ValueError: If there is no such split, or an image's name is of another form.
        FileNotFoundError: If a file is missing; names it, and the source.
    """

    name = "VeRi-776"
    source = "https://github.com/JDAI-CV/VeRidataset (on request, for non-commercial purposes)"

    def generate_split(self) -> tuple[list[str], list[int]]:
        together = ("train",) if self.split == "train" else ("query", "gallery")
        lists = {split: self.root / f"name_{_FILES[split]}.txt" for split in together}
        self.need(*lists.values())
        names = {split: lists[split].read_text(encoding="utf-8").split() for split in together}
        found = {name: _parsed(name) for split in together for name in names[split]}
        self.classes, label = numbered([vehicle for vehicle, _ in found.values()])
        self.cameras = [found[name][1] for name in names[self.split]]
        folder = self.root / f"image_{_FILES[self.split]}"
        labels = [label[found[name][0]] for name in names[self.split]]
        return [str(folder / name) for name in names[self.split]], labels

    def protocol(self, gallery: "VeRi776") -> RankingProtocol:
        """mAP and CMC at ranks 1, 5 and 10; the vehicle on the query's own camera is junk.

        Args:
            gallery: The gallery split.

        Raises:
            ValueError: If this is not the query split, or the other not the gallery.
        """
        self.check_pair(gallery)
        truth = GroundTruth.from_labels(self.labels, gallery.labels, self.cameras, gallery.cameras)
        return RankingProtocol(truth, recall_at=(1, 5, 10))


def _parsed(name: str) -> tuple[str, int]:
    match = _IMAGE.fullmatch(Path(name).stem)
    if match is None:
        raise ValueError(
            f"VeRi-776's images should be named as 0001_c001_00016450_0.jpg is. Found {name!r}."
        )
    return match[1], int(match[2])
