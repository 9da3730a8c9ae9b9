"""PML's accuracy calculator with Recall@k, for results that were searched already.

Not imported with the package: PML's calculator imports faiss and scikit-learn.
"""

from typing import Any

from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor

from prunnet_pml.evaluation.matrix import METRICS


class CompatibilityCalculator(AccuracyCalculator):
    """Recall@1, 2, 4 and 8, mAP and mAP@R of queries in a gallery that another network embedded.

    Recall@k is the share of queries with a match among their first k results. As everywhere in PML,
    queries with no match in the gallery are left out of the averages; where no query is left, these
    are NaN.

    PML wants a gallery that includes the queries to hold the queries' own embeddings, which at
    another capacity are different ones. So the search is done before, and its results handed over.

    Args:
        results: Positions in the gallery, nearest first, int64 ``[q, k]``; without the query itself
            in a leave-one-out.
    """

    def __init__(self, results: Tensor) -> None:
        self.results = results
        super().__init__(include=tuple(METRICS), device=results.device, knn_func=self._results)

    def calculate(
        self, query_labels: Tensor, gallery_labels: Tensor, leave_one_out: bool
    ) -> dict[str, float]:
        """Every metric of the results.

        Args:
            query_labels: Integers below 2**24 (PML compares them as float32), ``[q]``.
            gallery_labels: As ``query_labels``, ``[g]``.
            leave_one_out: Whether query i is image i of the gallery.
        """
        q, g = len(query_labels), len(gallery_labels)
        # PML also wants the embeddings; it only looks at their number.
        query, gallery = query_labels.new_zeros(q, 1), gallery_labels.new_zeros(g, 1)
        accuracy: dict[str, float] = self.get_accuracy(
            query, query_labels, gallery, gallery_labels, leave_one_out
        )
        return accuracy

    def calculate_recall_at_1(self, **kwargs: Any) -> float:  # noqa: ANN401
        return self._recall_at(1, **kwargs)

    def calculate_recall_at_2(self, **kwargs: Any) -> float:  # noqa: ANN401
        return self._recall_at(2, **kwargs)

    def calculate_recall_at_4(self, **kwargs: Any) -> float:  # noqa: ANN401
        return self._recall_at(4, **kwargs)

    def calculate_recall_at_8(self, **kwargs: Any) -> float:  # noqa: ANN401
        return self._recall_at(8, **kwargs)

    def requires_knn(self) -> list[str]:
        return [*super().requires_knn(), *METRICS]

    def determine_k(self, *_: Any) -> int:  # noqa: ANN401
        return self.results.shape[1]

    def _results(self, *_: Any) -> tuple[None, Tensor]:  # noqa: ANN401
        return None, self.results

    def _recall_at(
        self,
        k: int,
        knn_labels: Tensor,
        query_labels: Tensor,
        not_lone_query_mask: Tensor,
        **_: Any,  # noqa: ANN401
    ) -> float:
        is_match = knn_labels[:, :k] == query_labels[:, None]  # [q, k]
        found = is_match.any(dim=1)[not_lone_query_mask]
        return found.double().mean().item()
