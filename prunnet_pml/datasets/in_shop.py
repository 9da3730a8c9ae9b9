"""In-shop Clothes Retrieval of DeepFashion."""

from prunnet_pml.datasets.base_dataset import BaseDataset, numbered
from prunnet_pml.datasets.missing_files import first_of
from prunnet_pml.evaluation.protocols import GroundTruth, RankingProtocol


class InShop(BaseDataset):
    """In-shop Clothes Retrieval: find the same garment in the shop's photographs.

    From Liu et al., "DeepFashion" (CVPR 2016). 25,882 images of 3,997 garments to train with;
    14,218 queries and 12,612 gallery images of 3,985 others. See ``docs/datasets/in-shop.md``.

    Args:
        root: Holds ``Eval/list_eval_partition.txt`` (or has it in ``Anno``, ``Img`` or itself) and
            the unpacked ``img`` folder, itself or in ``Img``.
        split: ``"train"``, ``"query"`` or ``"gallery"``.
        transform: Called with each PIL image.

    Attributes:
        paths: One file for each image.
        labels: Positions in :attr:`classes`, which query and gallery share.
        classes: Names of the garments, ``id_00000001`` say.

    Raises:
        ValueError: If there is no such split, or the list has a line of another form.
        FileNotFoundError: If a file is missing; names it, and the source.
    """

    name = "In-shop"
    source = (
        "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html "
        "(for non-commercial research, under the agreement found there)"
    )

    def generate_split(self) -> tuple[list[str], list[int]]:
        folders = ("Eval", "Anno", "Img", "")
        partition = first_of(*(self.root / name / "list_eval_partition.txt" for name in folders))
        self.need(partition)
        lines = partition.read_text(encoding="utf-8").splitlines()[2:]  # below a count and a head
        rows = [line.split() for line in lines if line.strip()]
        for row in rows:
            if len(row) != 3 or row[2] not in self.splits:
                raise ValueError(
                    f"{partition} should have lines of an image, an item, and one of {self.splits}."
                    f" Found {' '.join(row)!r}."
                )
        training = self.split == "train"
        self.classes, label = numbered(
            [item for _, item, of in rows if (of == "train") == training]
        )
        images = first_of(self.root / "img", self.root / "Img" / "img").parent
        chosen = [(image, item) for image, item, of in rows if of == self.split]
        return [str(images / image) for image, _ in chosen], [label[item] for _, item in chosen]

    def protocol(self, gallery: "InShop") -> RankingProtocol:
        """Recall@1, 10, 20, 30, 40 and 50 of these queries, and mAP.

        Args:
            gallery: The gallery split.

        Raises:
            ValueError: If this is not the query split, or the other not the gallery.
        """
        self.check_pair(gallery)
        truth = GroundTruth.from_labels(self.labels, gallery.labels)
        return RankingProtocol(truth, recall_at=(1, 10, 20, 30, 40, 50))
