"""The compatibility matrix as a metric of mmengine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.record_names import cell_name
from prunnet_pml.registry.mmengine.registries import METRICS


@METRICS.register_module()
class CompatibilityMetric(BaseMetric):
    """What queries of every capacity find in galleries of every capacity, as a leave-one-out.

    Every cell is a scalar, ``compatibility/recall_at_1_query_20_gallery_100`` say, by which the
    best checkpoint may be kept (``save_best=..., rule="greater"``); mmengine hands it to the log
    and the visualizer. The first metric's matrix is written to the log as a table, too.

    Args:
        metrics: Those of :data:`prunnet_pml.evaluation.METRICS` whose cells become scalars.
        **kwargs: As of ``BaseMetric``.

    Attributes:
        matrix: The last validation's, on the main process.
    """

    default_prefix = "compatibility"

    def __init__(
        self,
        metrics: Sequence[str] = ("recall_at_1", "mean_average_precision_at_r"),
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.metrics = tuple(metrics)
        self.matrix: CompatibilityMatrix | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:  # noqa: ANN401
        """Keeps a batch's embeddings."""
        del data_batch
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """The cells by name."""
        capacities = results[0]["capacities"]
        rows = torch.stack([result["embeddings"] for result in results], dim=1)
        labels = torch.tensor([result["label"] for result in results])
        found = dict(zip(capacities, rows, strict=True))  # [n, d] each
        matrix = CompatibilityMatrix.from_embeddings(found, labels)
        trained = tuple(capacity for capacity in capacities if capacity < 1)
        self.matrix = matrix = replace(matrix, trained_capacities=trained)
        print_log("\n" + matrix.to_markdown(self.metrics[0]), logger="current")
        return {
            cell_name(metric, query, gallery): matrix.value(metric, query, gallery)
            for metric, query, gallery in product(self.metrics, capacities, capacities)
        }
