"""PML's InferenceModel with a gallery that one capacity indexes and another searches.

Not imported with the package: PML's inference imports faiss.
"""

from __future__ import annotations

import math
import os
from numbers import Integral
from pathlib import Path
from typing import Any

from pytorch_metric_learning.utils.inference import InferenceModel
from torch import Tensor, nn

from prunnet_pml.evaluation.writing import replacing
from prunnet_pml.inference.gallery_stamp import GalleryStamp
from prunnet_pml.interpolation_warning import statistics_owners, warn_of_interpolation
from prunnet_pml.masks import check_capacity
from prunnet_pml.network import capacity as at_capacity
from prunnet_pml.network import is_prunable, scored_layers
from prunnet_pml.space import check_space_id
from prunnet_pml.space import space_id as space_id_of


class AsymmetricInference(InferenceModel):
    """PML's ``InferenceModel`` whose index knows what it holds.

    A server indexes with the dense network, a device searches with what it has::

        server = AsymmetricInference(model)
        server.train_knn(gallery)
        server.save_knn_func("gallery.index")

        student = prunnet.prune(model, capacity=0.2)
        device = AsymmetricInference(student, capacity=0.2, space_id=prunnet.space_id(model))
        device.load_knn_func("gallery.index")
        distances, indices = device.get_nearest_neighbors(images, k=10)

    With the index goes a :class:`~prunnet_pml.inference.GalleryStamp`: space id, capacities,
    normalisation and dimension. What does not compare with the gallery neither searches it nor gets
    into it. Images embedded at another capacity do: ``add_to_knn`` adds them.

    Args:
        trunk: A prunable network or a plain one; any other arguments of PML's may follow.
        embedder: As ``trunk``. PML's default is the identity.
        *args: PML's.
        capacity: Where to embed. By default a prunable network embeds at the capacity that it is
            set to. Of a plain network it says what it was pruned to.
        space_id: The space of a plain network, see :func:`prunnet_pml.space_id`. A prunable one
            knows its own.
        **kwargs: PML's.

    Attributes:
        stamp: What the index holds; None where there is none. Who brings an index of their own, by
            ``knn_func``, sets it.

    Raises:
        ValueError: If ``capacity`` or ``space_id`` is missing for a plain network or out of range,
            or ``space_id`` is given for a prunable one.
    """

    def __init__(
        self,
        trunk: nn.Module,
        embedder: nn.Module | None = None,
        *args: Any,  # noqa: ANN401
        capacity: float | None = None,
        space_id: str | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(trunk, embedder, *args, **kwargs)
        self._networks = nn.ModuleList([self.trunk, self.embedder])
        self._is_prunable = is_prunable(self._networks)
        if self._is_prunable and space_id is not None:
            raise ValueError(
                "`space_id` should be left out for a prunable network, which has one. "
                f"Found {space_id!r}."
            )
        if not self._is_prunable and (capacity is None or space_id is None):
            raise ValueError(
                "`capacity` and `space_id` should be given for a plain network. "
                f"Found {capacity} and {space_id}."
            )
        self._capacity = None if capacity is None else check_capacity(capacity)
        if self._is_prunable and self._capacity is not None:
            remedy = "Calibrate the network before, or embed at another `capacity`."
            owners = statistics_owners(self._networks)
            warn_of_interpolation([self._capacity], owners, remedy)
        self._space_id = None if space_id is None else check_space_id(space_id)
        self.stamp: GalleryStamp | None = None

    def get_embeddings(self, x: Any) -> Any:  # noqa: ANN401
        """PML's, at the capacity that was given."""
        if self._capacity is None or not self._is_prunable:
            return super().get_embeddings(x)
        with at_capacity(self._networks, self._capacity):
            return super().get_embeddings(x)

    def train_knn(self, inputs: Any, batch_size: int = 64) -> None:  # noqa: ANN401
        """Embeds a gallery and starts a new index with it."""
        embeddings = self.get_embeddings_from_tensor_or_dataset(inputs, batch_size)
        stamp = self._stamp_of(embeddings)
        self.knn_func.train(embeddings)
        self.stamp = stamp

    def add_to_knn(self, inputs: Any, batch_size: int = 64) -> None:  # noqa: ANN401
        """Embeds more images and adds them to the index, whatever capacity that holds.

        Raises:
            ValueError: If there is no index, or the embeddings do not compare with those in it. The
                index is then as before.
        """
        stamp = self._stamp_of_index()
        embeddings = self.get_embeddings_from_tensor_or_dataset(inputs, batch_size)
        joined = stamp.joined(self._stamp_of(embeddings))
        self.knn_func.add(embeddings)
        self.stamp = joined

    def get_nearest_neighbors(self, query: Any, k: int) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        """Distances and positions in the gallery, nearest first, ``[q, k]`` each.

        Raises:
            ValueError: If there is no index, it holds fewer than ``k`` images, or the query's
                embeddings do not compare with those in it.
        """
        stamp = self._stamp_of_index()
        index = getattr(self.knn_func, "index", None)  # a knn_func of one's own may have none
        size = getattr(index, "ntotal", math.inf)
        if not isinstance(k, Integral) or not 1 <= k <= size:
            raise ValueError(
                f"`k` should be an integer from 1 to {size}, the gallery's size. Found {k!r}."
            )
        embeddings = self.get_embeddings(query)
        stamp.check(self._stamp_of(embeddings))
        distances, indices = self.knn_func(embeddings, int(k))
        return distances, indices

    def save_knn_func(self, filename: str | os.PathLike[str]) -> None:
        """Writes the index and its stamp into one file, whole or not at all.

        Raises:
            ValueError: If there is no index.
        """
        stamp = self._stamp_of_index()
        with replacing(Path(filename)) as temporary:
            self.knn_func.save(str(temporary))
            stamp.append_to(temporary)

    def load_knn_func(self, filename: str | os.PathLike[str]) -> None:
        """Reads an index that ``save_knn_func`` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it has no stamp, or its embeddings are of another space or normalisation
                than this network's. The index is then as before.
        """
        if not os.path.isfile(filename):
            raise FileNotFoundError(
                "`filename` should be an index that AsymmetricInference saved. "
                f"Found no file {filename}."
            )
        stamp = GalleryStamp.read(filename)
        stamp.check(self._stamp_with(stamp.dimension))
        self.knn_func.load(str(filename))
        self.stamp = stamp

    def _stamp_of_index(self) -> GalleryStamp:
        if self.stamp is None:
            raise ValueError(
                "There should be an index, from train_knn or load_knn_func. Found none."
            )
        return self.stamp

    def _stamp_of(self, embeddings: Tensor) -> GalleryStamp:
        if not embeddings.isfinite().all():
            raise ValueError("The network should return finite embeddings. Found NaN or infinity.")
        return self._stamp_with(embeddings.shape[1])

    def _stamp_with(self, dimension: int) -> GalleryStamp:
        """What this network's embeddings of a size are, now."""
        return GalleryStamp(
            space_id=self._space_id or space_id_of(self._networks),
            capacities=(self._capacity or self._current_capacity(),),
            normalized=bool(self.normalize_embeddings),
            dimension=dimension,
        )

    def _current_capacity(self) -> float:
        found = {layer.capacity for layer in scored_layers(self._networks).values()}
        if len(found) > 1:
            raise ValueError(
                f"`trunk` and `embedder` should be at one capacity. Found {sorted(found)}."
            )
        return found.pop()
