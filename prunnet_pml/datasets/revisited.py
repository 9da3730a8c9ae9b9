"""Revisited Oxford and Paris."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from prunnet_pml.datasets.base_dataset import BaseDataset
from prunnet_pml.datasets.plain_pickle import read_plain_pickle
from prunnet_pml.evaluation.protocols import RevisitedProtocol

if TYPE_CHECKING:
    from PIL.Image import Image


class RevisitedDataset(BaseDataset):
    """A revisited benchmark: 70 queries, cut out of their photographs, and a gallery.

    From Radenović et al., "Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking"
    (CVPR 2018). There is nothing to train with. See ``docs/datasets/revisited-oxford-paris.md``.

    The ground truth comes as a pickle. It is read by a reader that knows numbers, texts, lists,
    dicts and arrays alone, and runs nothing that a stranger may have put into it.

    There are no labels: a label is the image's position, in the gallery from 0 up, of the queries
    from -1 down. So query and gallery never share one, and metrics by label are NaN, not wrong.

    Args:
        root: Holds the ground truth, ``gnd_roxford5k.pkl`` say, and the folder ``jpg`` with all
            images.
        split: ``"query"`` or ``"gallery"``.
        transform: Called with each PIL image: of a query, with what its box holds.

    Attributes:
        paths: One file for each image.
        labels: See above.

    Raises:
        ValueError: If there is no such split, or the ground truth holds something else.
        FileNotFoundError: If a file is missing; names it, and the source.
    """

    splits = ("query", "gallery")
    ground_truth_file: ClassVar[str]

    def __init__(  # no split is the usual one, as "train" is elsewhere
        self,
        root: str | os.PathLike[str],
        split: str,
        transform: Callable[["Image"], Any] | None = None,
    ) -> None:
        super().__init__(root, split, transform)

    def generate_split(self) -> tuple[list[str], list[int]]:
        path = self.root / self.ground_truth_file
        self.need(path)
        content = read_plain_pickle(path)
        try:
            queries, gallery = content["qimlist"], content["imlist"]
            self._judged = [
                {kind: truth[kind] for kind in ("bbx", "easy", "hard", "junk")}
                for truth in content["gnd"]
            ]
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path} should hold imlist, qimlist, and gnd with bbx, easy, hard and junk for "
                f"each query. Found a problem with {error}."
            ) from error
        if len(queries) != len(self._judged):
            found = f"{len(queries)} and {len(self._judged)}"
            raise ValueError(f"{path} should judge as many queries as it lists. Found {found}.")
        images = queries if self.split == "query" else gallery
        labels = range(-1, -1 - len(images), -1) if self.split == "query" else range(len(images))
        return [str(self.root / "jpg" / f"{image}.jpg") for image in images], list(labels)

    def open_image(self, index: int) -> "Image":
        image = super().open_image(index)
        if self.split == "gallery":
            return image
        left, upper, right, lower = map(float, self._judged[index]["bbx"])
        return image.crop((left, upper, right, lower))

    def protocol(self, gallery: "RevisitedDataset", distractors: int = 0) -> RevisitedProtocol:
        """Easy, Medium and Hard of these queries: mAP, and mean precision at 1, 5 and 10.

        Args:
            gallery: The gallery split.
            distractors: Irrelevant images behind it, as in ``ConcatDataset([gallery, million])``.

        Raises:
            ValueError: If this is not the query split, or the other not the gallery.
        """
        self.check_pair(gallery)
        judged = {k: [truth[k] for truth in self._judged] for k in ("easy", "hard", "junk")}
        return RevisitedProtocol(**judged, gallery_size=len(gallery) + distractors)


class RevisitedOxford(RevisitedDataset):
    """ROxford: 70 queries in 4,993 photographs of buildings in Oxford; see the base class."""

    name = "Revisited Oxford"
    source = (
        "http://cmp.felk.cvut.cz/revisitop (gnd_roxford5k.pkl) and "
        "https://www.robots.ox.ac.uk/~vgg/data/oxbuildings (the images, of Flickr: their "
        "photographers' terms)"
    )
    ground_truth_file = "gnd_roxford5k.pkl"


class RevisitedParis(RevisitedDataset):
    """RParis: 70 queries in 6,322 photographs of buildings in Paris; see the base class."""

    name = "Revisited Paris"
    source = (
        "http://cmp.felk.cvut.cz/revisitop (gnd_rparis6k.pkl) and "
        "https://www.robots.ox.ac.uk/~vgg/data/parisbuildings (the images, of Flickr: their "
        "photographers' terms)"
    )
    ground_truth_file = "gnd_rparis6k.pkl"
