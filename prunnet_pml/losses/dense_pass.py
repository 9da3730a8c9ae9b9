"""What the dense network made of a batch, kept for its subnetworks' passes over that batch."""

from __future__ import annotations

from collections import deque

from torch import Tensor, nn

from prunnet_pml.network import get_capacity, get_pass

_MOST = 16
"""How many batches of a pass are kept: a loss of two views meets two, an accumulating loop more."""


class DensePass:
    """The dense network's embeddings of a batch, for losses and miners that compare.

    Where a pass embeds several batches (two views of a loss, say), the subnetworks' passes meet
    them in the same order. A pass is what lies between two calls of ``set_capacity``.

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
        self._kept: deque[tuple[Tensor, Tensor | None]] = deque(maxlen=_MOST)
        self._count = 0  # batches of the dense pass, more than are kept maybe
        self._met = 0  # batches of the subnetwork's pass
        self._pass = -1  # which pass these are of

    @property
    def is_running(self) -> bool:
        """Whether the model is dense at this moment."""
        return get_capacity(self._model) == 1

    def keep(self, embeddings: Tensor, labels: Tensor | None) -> None:
        """Keeps a batch of the dense network, ``[batch, dim]`` and ``[batch]``, detached."""
        if self._begins():
            self._kept.clear()
            self._count = 0
        self._kept.append((embeddings.detach(), labels))
        self._count += 1

    def embeddings_of(self, embeddings: Tensor, labels: Tensor | None) -> Tensor:
        """The dense network's embeddings of a subnetwork's batch, ``[batch, dim]``.

        Raises:
            RuntimeError: If the dense network embedded no batch yet, or another one, as far as
                shapes and labels can tell.
        """
        if self._begins():
            self._met = 0
        dense, seen = self._next()
        if dense is None or dense.shape != embeddings.shape:
            found = "none" if dense is None else f"a batch of {tuple(dense.shape)}"
            raise RuntimeError(
                "The dense network should embed a batch before its subnetworks do: loop over "
                f"optimizer.capacities(). Found {found} for {tuple(embeddings.shape)}."
            )
        if labels is not seen and (labels is None or seen is None or not labels.equal(seen)):
            raise RuntimeError(
                "Every capacity should embed the batch that the dense network embedded: loop over "
                "optimizer.capacities() once per batch. Found other labels."
            )
        return dense

    def _begins(self) -> bool:
        """Whether this is the first batch of a pass."""
        last, self._pass = self._pass, get_pass(self._model)
        return last != self._pass

    def _next(self) -> tuple[Tensor | None, Tensor | None]:
        """What the dense pass met where the subnetwork's is now."""
        if not self._kept:
            return None, None
        if self._count == 1:  # whoever looks at one batch may do so again
            return self._kept[0]
        if self._met == self._count or self._count > _MOST:
            raise RuntimeError(
                f"Every capacity should embed the batches of the dense network's pass, at most "
                f"{_MOST}, which begins at set_capacity(model, 1). Found {self._count} of them and "
                f"{self._met + 1} of capacity {get_capacity(self._model):g}."
            )
        self._met += 1
        return self._kept[self._met - 1]
