"""From embeddings to a protocol's metrics, some queries at a time."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from prunnet_pml.evaluation.embedding_checks import check_embeddings_by_capacity, check_one_size
from prunnet_pml.evaluation.matrix import CompatibilityMatrix
from prunnet_pml.evaluation.protocols.protocol import Protocol

_RESULTS_AT_ONCE = 2**24  # bounds the memory: 200 MB, whatever the size of the gallery


def score_protocol(
    protocol: Protocol, query: Mapping[float, Tensor], gallery: Mapping[float, Tensor]
) -> CompatibilityMatrix:
    """The work behind :meth:`CompatibilityMatrix.from_protocol`; arguments as there."""
    truth = protocol.ground_truth
    counted = "as many as the protocol knows of"
    check_embeddings_by_capacity(query, "query", len(truth), counted)
    check_embeddings_by_capacity(gallery, "gallery", truth.gallery_size, counted)
    check_one_size(query, gallery)
    k = min(protocol.depth or truth.gallery_size, truth.gallery_size)
    values: dict[str, NDArray[np.float64]] = {}
    for j, indexed in enumerate(gallery.values()):
        for i, results in enumerate(_searches(query, indexed, k)):
            for metric, mean in _means(protocol, results).items():
                empty = np.full((len(query), len(gallery)), np.nan)
                values.setdefault(metric, empty)[i, j] = mean
    return CompatibilityMatrix(tuple(query), tuple(gallery), values, k)


def _searches(
    query: Mapping[float, Tensor], gallery: Tensor, k: int
) -> Iterator[Iterator[NDArray[np.int64]]]:
    """For each query capacity the results of one query after the other; indexes once."""
    from pytorch_metric_learning.utils.inference import FaissKNN

    search = FaissKNN(reset_before=False, reset_after=False)
    search.train(gallery.contiguous())  # faiss reads memory in order

    def results(embeddings: Tensor) -> Iterator[NDArray[np.int64]]:
        for chunk in embeddings.split(max(1, _RESULTS_AT_ONCE // k)):
            yield from search(chunk.contiguous(), k)[1].cpu().numpy()

    return map(results, query.values())


def _means(protocol: Protocol, results: Iterator[NDArray[np.int64]]) -> dict[str, float]:
    """Every metric's mean over the queries that have it; NaN if none has."""
    found = [protocol.measure(query, ranking) for query, ranking in enumerate(results)]
    columns = {metric: np.array([each[metric] for each in found]) for metric in found[0]}
    counted = {metric: column[~np.isnan(column)] for metric, column in columns.items()}
    return {m: float(column.mean()) if len(column) else np.nan for m, column in counted.items()}
