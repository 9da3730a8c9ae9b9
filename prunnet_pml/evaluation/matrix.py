"""The compatibility matrix: what every query capacity finds in the gallery of every capacity."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from prunnet_pml.evaluation.writing import write_text
from prunnet_pml.given_network import shown
from prunnet_pml.masks import check_capacity

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from prunnet_pml.evaluation.protocols import Protocol

METRICS = {
    "recall_at_1": "R@1",
    "recall_at_2": "R@2",
    "recall_at_4": "R@4",
    "recall_at_8": "R@8",
    "mean_average_precision": "mAP",
    "mean_average_precision_at_r": "mAP@R",
}
"""Every metric of a set with labels, by PML's name, and how it is written in tables."""


@dataclass(frozen=True, eq=False)
class CompatibilityMatrix:
    """Retrieval metrics for every pair of a query and a gallery capacity.

    The diagonal holds the self-tests; what lies off it are cross-tests, and the column of gallery
    capacity 1.0 is what a platform of each size finds in the index that the dense network built.

    - R@k: share of queries with a match among the first k results.
    - mAP@R: R is the number of a query's matches in the gallery. The precision at the rank of each
      match among the first R results is summed and divided by R; the mean over the queries.
    - mAP: the same with the first :attr:`k` results in place of the first R, still divided by R. So
      matches further down than rank k count as not found, and it is the full mAP only where k is
      the size of the gallery. By default k is the largest R of any query, and at least 8.

    Queries with no match in the gallery are left out of every average, as in PML; NaN where none is
    left. They still are in the gallery, as distractors, in a leave-one-out.

    A matrix of :meth:`from_protocol` holds the protocol's metrics in place of these.

    Attributes:
        query_capacities: One per row.
        gallery_capacities: One per column.
        values: For each metric a float64 array ``[Q, G]``, read-only.
        k: Number of results looked at per query.
        trained_capacities: Capacities below 1 that were trained, where known; drawings mark them.

    Raises:
        ValueError: If an array's shape is not what the capacities say, or a capacity comes twice.
    """

    query_capacities: tuple[float, ...]
    gallery_capacities: tuple[float, ...]
    values: Mapping[str, NDArray[np.float64]]
    k: int
    trained_capacities: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("query_capacities", "gallery_capacities"):
            found = tuple(check_capacity(value, name) for value in getattr(self, name))
            if not found or len(set(found)) < len(found):
                raise ValueError(f"`{name}` should be distinct, and at least one. Found {found}.")
            object.__setattr__(self, name, found)
        shape = (len(self.query_capacities), len(self.gallery_capacities))
        arrays = {metric: np.array(array, np.float64) for metric, array in self.values.items()}
        for metric, array in arrays.items():
            if array.shape != shape:
                raise ValueError(f"`values[{metric!r}]` should be {shape}. Found {array.shape}.")
            array.setflags(write=False)
        object.__setattr__(self, "values", arrays)

    @classmethod
    def from_embeddings(
        cls,
        query: Mapping[float, Tensor],
        query_labels: Tensor,
        gallery: Mapping[float, Tensor] | None = None,
        gallery_labels: Tensor | None = None,
        *,
        leave_one_out: bool | None = None,
        k: int | None = None,
    ) -> "CompatibilityMatrix":
        """Scores ready-made embeddings, of any networks, compatible or not.

        Results are ranked by Euclidean distance, which for normalised embeddings, as
        :func:`prunnet_pml.evaluation.embed` returns them, is the order of the cosine similarity.

        Args:
            query: Embeddings by capacity, ``[q, d]`` each.
            query_labels: Integers ``[q]``.
            gallery: Embeddings by capacity, ``[g, d]`` each; those of ``query`` when None.
            gallery_labels: Integers ``[g]``; ``query_labels`` when None.
            leave_one_out: Whether the gallery begins with the images of the query, in the same
                order, so that image i is taken from the results of query i. By default where
                ``gallery_labels`` is None.
            k: Results looked at per query: see the class. By default as few as needed.

        Returns:
            The matrix, with a row for each capacity of ``query``, a column for each of ``gallery``.

        Raises:
            ValueError: If numbers of embeddings and labels differ, embeddings are not finite or not
                of one size, labels are not integers, or ``k`` is less than some query's matches.
        """
        from prunnet_pml.evaluation.scoring import score_embeddings

        if leave_one_out is None:
            leave_one_out = gallery_labels is None
        gallery = query if gallery is None else gallery
        gallery_labels = query_labels if gallery_labels is None else gallery_labels
        return score_embeddings(query, query_labels, gallery, gallery_labels, leave_one_out, k)

    @classmethod
    def from_protocol(
        cls, protocol: "Protocol", query: Mapping[float, Tensor], gallery: Mapping[float, Tensor]
    ) -> "CompatibilityMatrix":
        """Scores ready-made embeddings as a benchmark does: see :mod:`.evaluation.protocols`.

        Results are ranked by Euclidean distance, as in :meth:`from_embeddings`.

        Args:
            protocol: What is relevant to each query, and the metrics.
            query: Embeddings by capacity, ``[q, d]`` each, in the order of the protocol's queries.
            gallery: Embeddings by capacity, ``[g, d]`` each, in the order of its gallery.

        Returns:
            The matrix of the protocol's metrics.

        Raises:
            ValueError: If there are more or fewer embeddings than the protocol knows images, or
                they are not finite or not of one size.
        """
        from prunnet_pml.evaluation.protocols.scoring import score_protocol

        return score_protocol(protocol, query, gallery)

    @property
    def capacities(self) -> tuple[float, ...]:
        """The capacities that are both a row and a column: those that have a self-test."""
        return tuple(c for c in self.query_capacities if c in self.gallery_capacities)

    def __getitem__(self, metric: str) -> NDArray[np.float64]:
        """The array ``[Q, G]`` of a metric."""
        if metric not in self.values:
            raise ValueError(f"`metric` should be one of {list(self.values)}. Found {metric!r}.")
        return self.values[metric]

    def value(self, metric: str, query: float, gallery: float) -> float:
        """One cell: queries embedded at one capacity, the gallery at another."""
        row = _position(self.query_capacities, query, "query")
        column = _position(self.gallery_capacities, gallery, "gallery")
        return float(self[metric][row, column])

    def self_test(self, metric: str = "recall_at_1") -> dict[float, float]:
        """Query and gallery at the same capacity, by capacity."""
        return {c: self.value(metric, c, c) for c in self.capacities}

    def cross_test(self, metric: str = "recall_at_1", gallery: float = 1.0) -> dict[float, float]:
        """Every query capacity in one gallery, by default the dense network's."""
        return {c: self.value(metric, c, gallery) for c in self.query_capacities}

    def table(self, metric: str = "recall_at_1") -> "Table":
        """A rich table of one metric, in percent: a row per query capacity."""
        from prunnet_pml.evaluation.formats import rich_table

        return rich_table(self, metric)

    def plot(self, metric: str = "recall_at_1", *, title: str | None = None) -> "Figure":
        """A heat map of one metric: see :func:`prunnet_pml.evaluation.plot_matrix`."""
        from prunnet_pml.evaluation.drawing import plot_matrix

        return plot_matrix(self, metric, title=title)

    def to_markdown(self, metric: str = "recall_at_1") -> str:
        """A Markdown table of one metric, in percent: a row per query capacity."""
        from prunnet_pml.evaluation.formats import markdown_table

        return markdown_table(self, metric)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """All metrics as JSON text (NaN as null), also written to ``path`` if there is one."""
        from prunnet_pml.evaluation.formats import json_text

        text = json_text(self)
        if path is not None:
            write_text(path, text)
        return text

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "CompatibilityMatrix":
        """The matrix that :meth:`to_json` wrote.

        Args:
            source: The path of a file, or the JSON text itself, which begins with a brace.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not the JSON of a matrix.
        """
        from prunnet_pml.evaluation.formats import matrix_of_json

        if isinstance(source, str) and source.lstrip().startswith("{"):
            return matrix_of_json(source)
        if not os.path.isfile(source):
            raise FileNotFoundError(
                "`source` should be a file that holds a matrix, or its JSON. "
                f"Found no file {shown(str(source))}."
            )
        return matrix_of_json(Path(source).read_text(encoding="utf-8"))


def _position(capacities: tuple[float, ...], capacity: float, name: str) -> int:
    value = check_capacity(capacity, name)  # rounded, as those of the matrix are
    if value not in capacities:
        raise ValueError(f"`{name}` should be one of {capacities}. Found {capacity!r}.")
    return capacities.index(value)
