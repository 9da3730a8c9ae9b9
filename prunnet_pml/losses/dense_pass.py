"""What the dense network made of a batch, kept for its subnetworks' passes over that batch."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor, nn

from prunnet_pml.network import get_capacity
from prunnet_pml.passes import get_pass, is_any_running

Batches: TypeAlias = list[tuple[Tensor, Tensor | None]]
"""Embeddings and labels."""

_OF_BEFORE = "(That of the loop before is known by its very tensor of labels.)"


class DensePass:
    """The dense network's embeddings of a batch, for losses and miners that compare.

    Inside of a loop over ``optimizer.capacities()`` a pass may embed several batches (two views,
    say): the subnetworks' passes meet them in the same order, or those of the loop before, which
    are known by their very tensor of labels. What the dense network embeds within a subnetwork's
    pass takes their place. Outside of a loop it is the last batch that is met.

    It is no module and holds the model aside, so the model's parameters are not those of the loss
    or miner that owns it.

    Args:
        model: The prunable network, whose capacity says which pass it is.

    Attributes:
        is_of_before: Whether the batch that was met last is of the loop before.

    Raises:
        ValueError: If ``model`` is not prunable.
    """

    def __init__(self, model: nn.Module) -> None:
        get_capacity(model)
        self._model = model
        self._kept: Batches = []
        self._before: Batches = []  # of the loop before
        self.is_of_before = False
        self._met = 0  # how many of them the subnetwork's pass has met
        self._dense_pass: int | None = None
        self._pass: int | None = None  # the subnetwork's

    @property
    def is_running(self) -> bool:
        """Whether the model is dense at this moment."""
        return get_capacity(self._model) == 1

    def keep(self, embeddings: Tensor, labels: Tensor | None) -> None:
        """Keeps a batch of the dense network, ``[batch, dim]`` and ``[batch]``, detached.

        Raises:
            RuntimeError: If it is another network that an optimizer trains at this moment.
        """
        last, self._dense_pass = self._dense_pass, get_pass(self._model)
        if self._dense_pass is None and embeddings.requires_grad and is_any_running():
            raise RuntimeError(
                "`model` of a loss or miner should be the network whose optimizer loops over its "
                "capacities. Found another one: make the loss again for a network that was copied "
                "or loaded."
            )
        if self._dense_pass is None or self._dense_pass != last:
            if last is not None and not _has(self._kept, labels):  # or a loop is begun again
                self._before = self._kept
            self._kept = []
        self._kept.append((embeddings.detach(), labels))

    def embeddings_of(self, embeddings: Tensor, labels: Tensor | None) -> Tensor:
        """The dense network's embeddings of a subnetwork's batch, ``[batch, dim]``.

        Raises:
            RuntimeError: If the dense network embedded no batch yet, or another one, as far as
                shapes and labels can tell.
        """
        batches = self._meant_by(labels)
        self.is_of_before = batches is not self._kept
        dense, seen = self._next(batches)
        if dense is None or dense.shape != embeddings.shape:
            found = "none" if dense is None else f"a batch of {tuple(dense.shape)}"
            raise RuntimeError(
                "The dense network should embed a batch before its subnetworks do: loop over "
                f"optimizer.capacities(). {_OF_BEFORE} Found {found} for {tuple(embeddings.shape)}."
            )
        if labels is not seen and (labels is None or seen is None or not labels.equal(seen)):
            raise RuntimeError(
                "Every capacity should embed the batch that the dense network embedded: loop over "
                f"optimizer.capacities() once per batch. {_OF_BEFORE} Found other labels."
            )
        return dense

    def _meant_by(self, labels: Tensor | None) -> Batches:
        """The batches of this loop, or those of the one before if it alone had these labels."""
        if labels is None or get_pass(self._model) is None or _has(self._kept, labels):
            return self._kept
        of_these = [batch for batch in self._before if batch[1] is labels]
        if not of_these:
            return self._kept
        return of_these if len(of_these) == 1 else self._before

    def _next(self, kept: Batches) -> tuple[Tensor | None, Tensor | None]:
        """What the dense pass over these batches met where the subnetwork's is now."""
        last, self._pass = self._pass, get_pass(self._model)
        if self._pass is None or self._pass != last:
            self._met = 0
        if not kept:
            return None, None
        if self._pass is None or len(kept) == 1:  # which may be looked at again
            self._met = 1
            return kept[-1]
        if self._met == len(kept):
            raise RuntimeError(
                "Every capacity should embed as many batches as the dense network. "
                f"Found {self._met} of that one, and one more."
            )
        self._met += 1
        return kept[self._met - 1]


def _has(batches: Batches, labels: Tensor | None) -> bool:
    """Whether one of them has this very tensor of labels."""
    return labels is not None and any(labels is seen for _, seen in batches)
