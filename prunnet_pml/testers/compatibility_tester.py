"""PML's GlobalEmbeddingSpaceTester over the compatibility matrix.

Not imported with the package: PML's testers import faiss and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor, nn

from prunnet_pml.evaluation import METRICS, CompatibilityMatrix
from prunnet_pml.interpolation_warning import statistics_owners, warn_of_interpolation
from prunnet_pml.masks import check_capacities
from prunnet_pml.network import TRAINED_CAPACITIES, capacity
from prunnet_pml.record_names import cell_name


class CompatibilityTester(GlobalEmbeddingSpaceTester):
    """PML's ``GlobalEmbeddingSpaceTester``, for every capacity in the gallery of every other.

    Under PML's own names (``mean_average_precision_at_r_level0``) stand the dense network's
    accuracies, as PML's tester finds them. Beside them stands every cell of the matrix, under
    :func:`~prunnet_pml.testers.cell_name`: ``recall_at_1_query_20_gallery_100_level0``. So PML's
    hooks keep the best model by whatever cell they are given::

        hooks = HookContainer(keeper, primary_metric=cell_name("recall_at_1", 0.2, 1.0))
        tester = CompatibilityTester(end_of_testing_hook=hooks.end_of_testing_hook)

    The images are read once and embedded once per capacity. Afterwards the network is at the
    capacity that it was at.

    Args:
        *args: PML's.
        capacities: Those to test, trained or not; the dense network always is.
        **kwargs: PML's.

    Attributes:
        matrices: The last test's matrices, by query split and label level.

    Raises:
        ValueError: If a capacity is not in (0, 1), or ``pca`` is given: every capacity would get a
            projection of its own, and nothing would compare.
    """

    accuracy_calculator: Any

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        capacities: Iterable[float] = TRAINED_CAPACITIES,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        self.capacities = (1.0, *check_capacities(capacities))
        self.matrices: dict[str, dict[int, CompatibilityMatrix]] = {}
        super().__init__(*args, **kwargs)
        if self.pca:
            raise ValueError(f"`pca` should be None. Found {self.pca}.")
        cells = [cell_name(*cell) for cell in product(METRICS, self.capacities, self.capacities)]
        self.accuracy_calculator = _WithCells(self.accuracy_calculator, cells)

    def test(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As PML's: ``test(dataset_dict, epoch, trunk_model, embedder_model=None, ...)``.

        Raises:
            ValueError: If no prunable network is in ``trunk_model`` or ``embedder_model``.
        """
        self.matrices = {}
        self._embeddings: dict[str, tuple[dict[float, Tensor], Tensor]] = {}
        try:
            return super().test(*args, **kwargs)
        finally:
            del self._embeddings

    def get_all_embeddings_for_all_splits(
        self,
        dataset_dict: Mapping[str, Any],
        trunk_model: nn.Module,
        embedder_model: nn.Module,
        splits_to_compute_embeddings: Sequence[str],
        collate_fn: Any,  # noqa: ANN401
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """The dense network's embeddings, as PML's; those of all capacities are kept beside."""
        parts = [trunk_model] if self.use_trunk_output else [trunk_model, embedder_model]
        both = nn.Sequential(*parts)
        remedy = "Name others in `capacities`, or calibrate them before."
        warn_of_interpolation(self.capacities, statistics_owners(both), remedy)
        network = _EveryCapacity(both, self.capacities)
        for split in splits_to_compute_embeddings:
            loader = c_f.get_eval_dataloader(
                dataset_dict[split], self.batch_size, self.dataloader_num_workers, collate_fn
            )
            rows, labels = self.compute_all_embeddings(loader, network, nn.Identity())
            chunks = [
                self.maybe_normalize(chunk.contiguous())  # or faiss refuses them
                for chunk in rows.chunk(len(self.capacities), dim=1)
            ]
            found = dict(zip(self.capacities, chunks, strict=True))
            self._embeddings[split] = found, labels
        return {split: (found[1.0], labels) for split, (found, labels) in self._embeddings.items()}

    def do_knn_and_accuracies(
        self,
        accuracies: dict[str, float],
        embeddings_and_labels: Mapping[str, tuple[Tensor, Tensor]],
        query_split_name: str,
        reference_split_names: Sequence[str],
    ) -> None:
        """Adds every cell of the matrix to ``accuracies``, then what PML's tester does."""
        names = query_split_name, reference_split_names
        query: dict[float, Tensor] = {}
        gallery: dict[float, Tensor] = {}
        for c in self.capacities:
            at_capacity = {k: (found[c], labels) for k, (found, labels) in self._embeddings.items()}
            found = self.set_reference_and_query(at_capacity, *names)
            query[c], query_labels, gallery[c], gallery_labels = (tensor.cpu() for tensor in found)
        self.label_levels = self.label_levels_to_evaluate(query_labels)
        self.matrices[query_split_name] = {}
        for level in self.label_levels:
            matrix = CompatibilityMatrix.from_embeddings(
                query,
                query_labels[:, level],
                gallery,
                gallery_labels[:, level],
                leave_one_out=self.ref_includes_query(*names),
            )
            self.matrices[query_split_name][level] = matrix
            for metric, q, g in product(METRICS, self.capacities, self.capacities):
                key = self.accuracies_keyname(cell_name(metric, q, g), label_hierarchy_level=level)
                accuracies[key] = matrix.value(metric, q, g)
        super().do_knn_and_accuracies(accuracies, embeddings_and_labels, *names)


class _EveryCapacity(nn.Module):
    """Embeddings of all capacities side by side, ``[b, capacities * d]``."""

    def __init__(self, network: nn.Module, capacities: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.capacities = capacities

    def forward(self, images: Tensor) -> Tensor:
        found = []
        for value in self.capacities:
            with capacity(self.network, value):
                found.append(self.network(images))
        return torch.cat(found, dim=1)


class _WithCells:
    """An accuracy calculator of PML that names the cells among its metrics, as hooks ask it to."""

    def __init__(self, calculator: Any, cells: Sequence[str]) -> None:  # noqa: ANN401
        self._calculator = calculator
        self._cells = cells

    def get_curr_metrics(self) -> list[str]:
        return [*self._calculator.get_curr_metrics(), *self._cells]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name == "_calculator":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self._calculator, name)
