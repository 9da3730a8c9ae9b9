"""What the dense network made of a batch, kept for its subnetworks' passes over that batch."""

from __future__ import annotations

from torch import Tensor, nn

from prunnet_pml.network import get_capacity


class DensePass:
    """The dense network's embeddings of the last batch, for losses and miners that compare.

    It is no module and holds the model aside, so the model's parameters are not those of the loss
    or miner that owns it.

    Args:
        model: The prunable network, whose capacity says which pass it is.

    Raises:
        ValueError: If ``model`` is not prunable.
    """

    def __init__(self, model: nn.Module) -> None:
        get_capacity(model)
        self._model = model
        self._embeddings: Tensor | None = None
        self._labels: Tensor | None = None

    @property
    def is_running(self) -> bool:
        """Whether the model is dense at this moment."""
        return get_capacity(self._model) == 1

    def keep(self, embeddings: Tensor, labels: Tensor | None) -> None:
        """Keeps a batch of the dense network, ``[batch, dim]`` and ``[batch]``, detached."""
        self._embeddings, self._labels = embeddings.detach(), labels

    def embeddings_of(self, embeddings: Tensor, labels: Tensor | None) -> Tensor:
        """The dense network's embeddings of a subnetwork's batch, ``[batch, dim]``.

        Raises:
            RuntimeError: If the dense network embedded no batch yet, or another one, as far as
                shapes and labels can tell.
        """
        dense, seen = self._embeddings, self._labels
        if dense is None or dense.shape != embeddings.shape:
            found = "none" if dense is None else f"a batch of {tuple(dense.shape)}"
            raise RuntimeError(
                "The dense network should embed a batch before its subnetworks do: loop over "
                f"optimizer.capacities(). Found {found} for {tuple(embeddings.shape)}."
            )
        if labels is not seen and (labels is None or seen is None or not labels.equal(seen)):
            raise RuntimeError(
                "Every capacity should embed the batch that the dense network embedded last: loop "
                "over optimizer.capacities() once per batch. Found other labels."
            )
        return dense
