"""The compatibility matrix as a metric of mmengine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from prunnet_pml.evaluation import METRICS as OF_LABELS
from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.record_names import cell_name
from prunnet_pml.registry.mmengine.registries import METRICS

_SCALARS_OF_LABELS = ("recall_at_1", "mean_average_precision_at_r")


@METRICS.register_module()
class CompatibilityMetric(BaseMetric):
    """What queries of every capacity find in galleries of every capacity.

    A ``QueryAndGallery`` is scored by its benchmark's protocol, any other data set as a
    leave-one-out: both as :func:`prunnet_pml.evaluate` would.

    Every cell is a scalar, ``compatibility/recall_at_1_query_20_gallery_100`` say, by which the
    best checkpoint may be kept (``save_best=..., rule="greater"``); mmengine hands it to the log
    and the visualizer. The first one's matrix is written to the log as a table, too.

    Args:
        scalars: The metrics whose cells become scalars: some of the protocol's, or of
            :data:`prunnet_pml.evaluation.METRICS`. By default all of a protocol's; R@1 and mAP@R
            where there is none.
        **kwargs: As of ``BaseMetric``.

    Attributes:
        matrix: The last validation's, on the main process.

    Raises:
        ValueError: If ``scalars`` is one text.
    """

    default_prefix = "compatibility"

    def __init__(self, scalars: Sequence[str] | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        if isinstance(scalars, str):
            raise ValueError(f"`scalars` should be a list of metrics. Found {scalars!r}.")
        self.scalars = None if scalars is None else tuple(scalars)
        self.matrix: CompatibilityMatrix | None = None

    def check(self, argument: str, metric: str) -> None:
        """Refuses a metric that there will not be, by the data set that mmengine has told of.

        Args:
            argument: What the message calls it.
            metric: Its name.

        Raises:
            ValueError: If it is none of the protocol's, or of the labels' where there is none.
        """
        known = list(OF_LABELS)
        if protocol := (self.dataset_meta or {}).get("protocol"):
            size = protocol.ground_truth.gallery_size
            known = list(protocol.measure(0, np.arange(min(protocol.depth or size, size))))
        if metric not in known:
            raise ValueError(f"`{argument}` should be one of {known}. Found {metric!r}.")

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:  # noqa: ANN401
        """Keeps a batch's embeddings."""
        del data_batch
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """The cells by name.

        Raises:
            ValueError: If there is no such metric, or the images of a ``QueryAndGallery`` came in
                another order than its own.
        """
        capacities = results[0]["capacities"]
        rows = torch.stack([result["embeddings"] for result in results], dim=1)
        labels = torch.tensor([result["label"] for result in results])
        found = dict(zip(capacities, rows, strict=True))  # [n, d] each
        protocol = (self.dataset_meta or {}).get("protocol")
        if protocol is None:
            matrix = CompatibilityMatrix.from_embeddings(found, labels)
        else:
            queries = self._number_of_queries(labels)
            query = {capacity: row[:queries] for capacity, row in found.items()}
            gallery = {capacity: row[queries:] for capacity, row in found.items()}
            matrix = CompatibilityMatrix.from_protocol(protocol, query, gallery)
        trained = tuple(capacity for capacity in capacities if capacity < 1)
        self.matrix = matrix = replace(matrix, trained_capacities=trained)
        scalars = self.scalars or (_SCALARS_OF_LABELS if protocol is None else tuple(matrix.values))
        print_log("\n" + matrix.to_markdown(scalars[0]), logger="current")
        return {
            cell_name(metric, query, gallery): matrix.value(metric, query, gallery)
            for metric, query, gallery in product(scalars, capacities, capacities)
        }

    def _number_of_queries(self, labels: Tensor) -> int:
        """The first so many images are queries, if they came in the order of the data set."""
        if labels.tolist() != self.dataset_meta["labels"]:
            raise ValueError(
                "`sampler` should read a QueryAndGallery in order, whose protocol knows images by "
                'their position: {"type": "DefaultSampler", "shuffle": False}. Found another order.'
            )
        queries: int = self.dataset_meta["queries"]
        return queries
