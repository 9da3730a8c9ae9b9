"""From embeddings to metrics: one search per pair of a query and a gallery capacity."""

from collections.abc import Mapping
from numbers import Integral

import torch
from torch import Tensor

from prunnet_pml.evaluation.embedding_checks import check_embeddings_by_capacity, check_one_size
from prunnet_pml.evaluation.matrix import METRICS, CompatibilityMatrix

_DEEPEST_RECALL = 8


def score_embeddings(
    query: Mapping[float, Tensor],
    query_labels: Tensor,
    gallery: Mapping[float, Tensor],
    gallery_labels: Tensor,
    leave_one_out: bool,
    k: int | None,
) -> CompatibilityMatrix:
    """The work behind :meth:`CompatibilityMatrix.from_embeddings`; arguments as there."""
    from pytorch_metric_learning.utils.inference import FaissKNN

    from prunnet_pml.evaluation.calculator import CompatibilityCalculator

    _check(query, query_labels, "query")
    _check(gallery, gallery_labels, "gallery")
    _check_pair(query, query_labels, gallery, gallery_labels, leave_one_out)
    # Numbers from 0: PML compares labels as float32, where large ones would fall together.
    labels = torch.unique(torch.cat([query_labels, gallery_labels]), return_inverse=True)[1]
    query_labels, gallery_labels = labels.split([len(query_labels), len(gallery_labels)])
    k = _results_needed(query_labels, gallery_labels, leave_one_out, k)

    # faiss reads memory in order, which that of a slice is not.
    query, gallery = ({c: e.contiguous() for c, e in s.items()} for s in (query, gallery))
    search = FaissKNN()
    values = torch.empty(len(METRICS), len(query), len(gallery), dtype=torch.float64)
    for i, query_embeddings in enumerate(query.values()):
        for j, gallery_embeddings in enumerate(gallery.values()):
            # In a leave-one-out FaissKNN searches k + 1 and takes query i's result i away, wherever
            # it stands: between two networks it need not be the first.
            _, results = search(query_embeddings, k, gallery_embeddings, leave_one_out)  # [q, k]
            accuracy = CompatibilityCalculator(results).calculate(
                query_labels, gallery_labels, leave_one_out
            )
            for m, metric in enumerate(METRICS):
                values[m, i, j] = accuracy[metric]
    return CompatibilityMatrix(
        query_capacities=tuple(query),
        gallery_capacities=tuple(gallery),
        values={metric: values[m].numpy() for m, metric in enumerate(METRICS)},
        k=k,
    )


def _results_needed(
    query_labels: Tensor, gallery_labels: Tensor, leave_one_out: bool, k: int | None
) -> int:
    """``k``, or as few results as the metrics need; never more than the gallery holds."""
    if k is not None and not isinstance(k, Integral):
        raise ValueError(f"`k` should be an integer. Found {k!r}.")
    in_gallery = gallery_labels.bincount(minlength=int(query_labels.max()) + 1)
    most_matches = int(in_gallery[query_labels].max()) - leave_one_out
    if k is not None and k < max(most_matches, 1):
        raise ValueError(
            f"`k` should be at least {max(most_matches, 1)}, the largest number of matches that a "
            f"query has. Found {k}."
        )
    wanted = max(most_matches, _DEEPEST_RECALL) if k is None else int(k)
    return min(wanted, len(gallery_labels) - leave_one_out)


def _check(embeddings: Mapping[float, Tensor], labels: Tensor, name: str) -> None:
    if not isinstance(labels, Tensor):
        found = type(labels).__name__
        raise ValueError(f"`{name}_labels` should be a tensor of integers [n]. Found a {found}.")
    if labels.dim() != 1 or len(labels) == 0 or labels.is_floating_point():
        found = f"{labels.dtype} {tuple(labels.shape)}"
        raise ValueError(f"`{name}_labels` should be integers [n], n at least 1. Found {found}.")
    check_embeddings_by_capacity(embeddings, name, len(labels), "one per label")


def _check_pair(
    query: Mapping[float, Tensor],
    query_labels: Tensor,
    gallery: Mapping[float, Tensor],
    gallery_labels: Tensor,
    leave_one_out: bool,
) -> None:
    check_one_size(query, gallery)
    if leave_one_out and not query_labels.equal(gallery_labels[: len(query_labels)]):
        raise ValueError(
            "`leave_one_out` should be True only where the gallery begins with the images of the "
            "query, in the same order. Found different labels."
        )
    if leave_one_out and len(gallery_labels) < 2:
        raise ValueError("`gallery` should hold at least 2 images in a leave-one-out. Found 1.")
