"""The queries and the gallery of a benchmark as one data set, for validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import ConcatDataset

from prunnet_pml.registry.mmengine.building import build
from prunnet_pml.registry.mmengine.registries import DATASETS


@DATASETS.register_module()
class QueryAndGallery(ConcatDataset[Any]):
    """The queries of a benchmark, then its gallery; ``CompatibilityMetric`` scores by its protocol.

    ::

        val_dataloader = dict(
            dataset=dict(
                type="prunnet_pml.QueryAndGallery",
                dataset=dict(type="InShop", root="data/in_shop", transform=...),
            ),
            sampler=dict(type="DefaultSampler", shuffle=False),
            ...
        )

    Args:
        dataset: Config of a data set with the splits ``"query"`` and ``"gallery"`` and a method
            ``protocol``: ``InShop``, ``VeRi776``, ``GoogleLandmarksV2``, ``RevisitedOxford`` and
            ``RevisitedParis`` of :mod:`prunnet_pml.datasets`.

    Attributes:
        query: The query split.
        gallery: The gallery split.
        metainfo: What mmengine hands to the metric: the ``protocol``, and the ``labels`` of all
            images, of which the first ``queries`` are queries.

    Raises:
        ValueError: If there is no such data set, or it has no protocol.
        FileNotFoundError: If a file of it is missing; names it, and the source.
    """

    def __init__(self, dataset: Mapping[str, Any]) -> None:
        self.query, self.gallery = (
            build({**dataset, "split": split}, DATASETS) for split in ("query", "gallery")
        )
        if not hasattr(self.query, "protocol"):
            found = type(self.query).__name__
            raise ValueError(f"`dataset` should be a benchmark with a protocol. Found {found}.")
        super().__init__([self.query, self.gallery])
        self.metainfo = {
            "protocol": self.query.protocol(self.gallery),
            "queries": len(self.query),
            "labels": [*self.query.labels, *self.gallery.labels],
        }
