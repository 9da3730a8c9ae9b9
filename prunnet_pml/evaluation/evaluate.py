"""The self/cross matrix of a prunable network, each capacity embedded once."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler

from prunnet_pml.evaluation.embed import Images, check_images, embed_capacities
from prunnet_pml.evaluation.matrix import CompatibilityMatrix
from prunnet_pml.evaluation.protocols import Protocol
from prunnet_pml.interpolation_warning import statistics_owners, warn_of_interpolation
from prunnet_pml.masks import check_capacities, check_capacity
from prunnet_pml.network import trained_capacities
from prunnet_pml.norms import check_norms


def evaluate(
    model: nn.Module,
    query: Images,
    gallery: Images | None = None,
    capacities: Iterable[float] | None = None,
    *,
    gallery_capacities: Iterable[float] | None = None,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    normalize: bool = True,
    k: int | None = None,
    protocol: Protocol | None = None,
) -> CompatibilityMatrix:
    """Scores what queries embedded at every capacity find in galleries embedded at every capacity.

    Without a gallery it is a leave-one-out: every query searches all the other images. Query i is
    taken out of its own results by its index, wherever it stands there: between two capacities an
    image need not be its own nearest neighbour.

    Each set of images is embedded once per capacity, and read once in all; the network's capacity
    and modes are restored afterwards, also when an exception is raised. In a process group
    (``torchrun``) every process has to call it: they share the embedding passes.

    Args:
        model: A prunable network.
        query: A dataset of ``(image, label)``, a DataLoader of such batches, or a tuple of tensors
            ``(images [n, ...], labels [n])``. Images of type uint8 are scaled to [0, 1].
        gallery: As ``query``; None for a leave-one-out.
        capacities: Those of the queries; by default the dense network, then the trained capacities.
        gallery_capacities: Those of the gallery; as those of the queries by default.
        batch_size: Images per forward; a DataLoader brings its own.
        device: Where to send the images; by default where the network's parameters are.
        normalize: Whether embeddings are divided by their Euclidean norm before the search.
        k: Results looked at per query; as few as the metrics need by default. What that means for
            mAP, and how queries without a match count, says :class:`CompatibilityMatrix`.
        protocol: A benchmark's ground truth and metrics, in place of the labels and those below:
            ``query.protocol(gallery)`` of the benchmarks in :mod:`prunnet_pml.datasets`.

    Returns:
        R@1, 2, 4, 8, mAP and mAP@R for every (query capacity, gallery capacity).

    Raises:
        ValueError: If ``model`` is not prunable, norms of it were replaced, a capacity is not in
            (0, 1] or comes twice, ``query`` or ``gallery`` is none of the above or empty,
            embeddings are not finite, or ``k`` is less than the largest number of matches that a
            query has. With a ``protocol``, if there is no gallery, a ``k``, a shuffled loader, or a
            set of another size.

    Example:
        >>> from prunnet_pml import make_prunable
        >>> model = make_prunable(nn.Sequential(nn.Flatten(), nn.Linear(64, 8)))
        >>> matrix = evaluate(model, (torch.rand(20, 8, 8), torch.arange(20) % 5))
        >>> matrix.query_capacities
        (1.0, 0.8, 0.6, 0.4, 0.2)
        >>> cross_test = matrix.value("recall_at_1", query=0.2, gallery=1.0)
    """
    trained = trained_capacities(model)
    check_norms(model)
    rows = (1.0, *trained) if capacities is None else _distinct(capacities, "capacities")
    columns = rows
    if gallery_capacities is not None:
        columns = _distinct(gallery_capacities, "gallery_capacities")

    check_images(query, "query")
    if gallery is not None:
        check_images(gallery, "gallery")  # before the queries have gone through all capacities
    if protocol is not None:
        _check_protocol(query, gallery, k)
    remedy = "calibrate(model, loader, capacities) gives them exact ones."
    warn_of_interpolation({*rows, *columns}, statistics_owners(model), remedy)

    def embeddings(data: Images, wanted: Iterable[float]) -> tuple[dict[float, Tensor], Tensor]:
        return embed_capacities(
            model, data, wanted, batch_size=batch_size, device=device, normalize=normalize
        )

    if gallery is None:
        found, labels = embeddings(query, dict.fromkeys((*rows, *columns)))
        matrix = CompatibilityMatrix.from_embeddings(
            {c: found[c] for c in rows}, labels, {c: found[c] for c in columns}, k=k
        )
    else:
        found, labels = embeddings(query, rows)
        indexed, gallery_labels = embeddings(gallery, columns)
        if protocol is None:
            matrix = CompatibilityMatrix.from_embeddings(
                found, labels, indexed, gallery_labels, leave_one_out=False, k=k
            )
        else:
            matrix = CompatibilityMatrix.from_protocol(protocol, found, indexed)
    return replace(matrix, trained_capacities=trained)


def _distinct(capacities: Iterable[float], name: str) -> tuple[float, ...]:
    """Checked capacities, in the order in which they were given."""
    given = capacities
    if isinstance(capacities, Iterable) and not isinstance(capacities, str):
        given = tuple(capacities)  # which an iterator is read by
    check_capacities(given, name, dense=True)
    return tuple(check_capacity(value, name) for value in given)


def _check_protocol(query: Images, gallery: Images | None, k: int | None) -> None:
    if gallery is None:
        raise ValueError("`gallery` should be given with a `protocol`. Found None.")
    if k is not None:
        raise ValueError(f"`k` should be None with a `protocol`, which has a depth. Found {k}.")
    for name, data in (("query", query), ("gallery", gallery)):
        if isinstance(data, DataLoader) and not isinstance(data.sampler, SequentialSampler):
            found = type(data.sampler).__name__
            raise ValueError(
                f"`{name}` should be read in order with a `protocol`, which knows images by their "
                f"position. Found a loader with a {found}."
            )
