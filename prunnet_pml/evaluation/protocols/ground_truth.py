"""Which gallery images are relevant to each query, and which are junk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Relevant and junk images of every query, as positions in the gallery.

    Junk counts neither for nor against a ranking: it is taken out, and what stands behind it moves
    up. All other images are irrelevant.

    Attributes:
        relevant: For each query, positions of its relevant images: distinct integers ``[r]``.
        junk: For each query, positions of its junk: distinct integers ``[j]``, none relevant.
        gallery_size: Number of images in the gallery.

    Raises:
        ValueError: If there is no query, the numbers of queries differ, a position is outside the
            gallery or comes twice, or an image is both relevant and junk.
    """

    relevant: Sequence[NDArray[np.int64]]
    junk: Sequence[NDArray[np.int64]]
    gallery_size: int

    def __post_init__(self) -> None:
        for name in ("relevant", "junk"):
            object.__setattr__(self, name, tuple(map(_positions, getattr(self, name))))
        if len(self.relevant) != len(self.junk):
            found = f"{len(self.relevant)} and {len(self.junk)}"
            raise ValueError(f"`relevant` and `junk` should be of as many queries. Found {found}.")
        if len(self.relevant) == 0:
            raise ValueError("`relevant` should be of at least one query. Found none.")
        for query, both in enumerate(zip(self.relevant, self.junk, strict=True)):
            judged = np.concatenate(both)
            if len(judged) and not 0 <= judged.min() <= judged.max() < self.gallery_size:
                found = f"{judged.min()} to {judged.max()}"
                raise ValueError(
                    f"Positions should be in [0, {self.gallery_size}), the gallery. Found {found} "
                    f"for {query=}."
                )
            if len(np.unique(judged)) < len(judged):
                raise ValueError(
                    f"An image should be relevant or junk, and once. Found one twice for {query=}."
                )

    @classmethod
    def from_labels(
        cls,
        query_labels: ArrayLike,
        gallery_labels: ArrayLike,
        query_cameras: ArrayLike | None = None,
        gallery_cameras: ArrayLike | None = None,
    ) -> "GroundTruth":
        """Relevant is what has the query's label; with cameras, junk what has its camera as well.

        Args:
            query_labels: Integers ``[q]``.
            gallery_labels: Integers ``[g]``.
            query_cameras: Integers ``[q]``; None where cameras don't matter.
            gallery_cameras: Integers ``[g]``, given if ``query_cameras`` are.
        """
        labels = np.asarray(gallery_labels)
        order = np.argsort(labels, kind="stable")  # of one label: ascending positions
        first, last = (
            np.searchsorted(labels[order], np.asarray(query_labels), side)
            for side in ("left", "right")
        )
        matches = [order[i:j] for i, j in zip(first, last, strict=True)]
        if query_cameras is None or gallery_cameras is None:
            return cls(matches, [order[:0]] * len(matches), len(labels))
        cameras = np.asarray(gallery_cameras)
        pairs = list(zip(matches, np.asarray(query_cameras), strict=True))
        relevant = [found[cameras[found] != camera] for found, camera in pairs]
        junk = [found[cameras[found] == camera] for found, camera in pairs]
        return cls(relevant, junk, len(labels))

    def __len__(self) -> int:
        """The number of queries."""
        return len(self.relevant)

    def ranks(self, query: int, results: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the relevant images stand in a query's results, junk taken out.

        Args:
            query: Which query.
            results: Positions in the gallery, nearest first, ``[k]``.

        Returns:
            Ranks from 0, ascending: one for each relevant image that is among the results.
        """
        kept = np.cumsum(~np.isin(results, self.junk[query]))  # results up to each that count
        found: NDArray[np.int64] = kept[np.isin(results, self.relevant[query])] - 1
        return found


def _positions(given: ArrayLike) -> NDArray[np.int64]:
    found = np.asarray(given).reshape(-1)
    if len(found) and not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"Positions in the gallery should be integers. Found {found.dtype}.")
    return found.astype(np.int64)
