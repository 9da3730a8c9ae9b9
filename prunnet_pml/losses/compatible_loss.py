"""The loss that ties every subnetwork to the dense network."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunnet_pml.network import get_capacity

Space = Literal["logit", "embedding", "both"]


class CompatibleLoss(nn.Module):
    """Any pytorch-metric-learning loss, made to compare a subnetwork with the dense network.

    The dense pass is the loss itself. A subnetwork's pass depends on the space:

    - ``"logit"``: the same loss with its class weights detached. So the dense network alone moves
      them and every subnetwork learns to meet them (Eq. 4 of `Learning Compatible Multi-Prize
      Subnetworks for Asymmetric Retrieval <https://arxiv.org/abs/2504.11879>`_).
    - ``"embedding"``: the loss between the subnetwork's embeddings and, as reference (``ref_emb``),
      the dense network's of the same batch, detached.
    - ``"both"``: the sum of the two, for a loss that has class weights and takes references. (Few
      of PML do; add up two ``CompatibleLoss`` instead.)

    To a subnetwork's pass comes ``alignment`` times one minus the cosine between its embedding and
    the dense network's, detached, of the same image, in the mean over the batch.

    Args:
        loss: A loss of pytorch-metric-learning. Miners' tuples, reducers and distances pass
            through.
        model: The prunable network, whose capacity says which pass it is.
        space: Where to compare. ``"logit"`` and ``"both"`` need a loss with class weights.
        alignment: Weight of the alignment. The paper has none, that is 0.

    Raises:
        ValueError: If ``space`` is unknown, needs class weights that ``loss`` does not have,
            ``alignment`` is negative, or ``model`` is not prunable.
    """

    def __init__(
        self,
        loss: nn.Module,
        model: nn.Module,
        space: Space = "logit",
        alignment: float = 10.0,
    ) -> None:
        super().__init__()
        if space not in ("logit", "embedding", "both"):
            raise ValueError(f"`space` should be 'logit', 'embedding' or 'both'. Found {space!r}.")
        if space != "embedding" and next(loss.parameters(), None) is None:
            raise ValueError(
                f"`loss` should have class weights for space={space!r}. Found "
                f"{type(loss).__name__} without parameters: use space='embedding'."
            )
        if not isinstance(alignment, int | float) or not alignment >= 0:
            raise ValueError(f"`alignment` should be at least 0. Found {alignment!r}.")
        get_capacity(model)
        self.loss = loss
        self.space: Space = space
        self.alignment = alignment
        self._model = (model,)  # in a tuple, so that its parameters are not this module's
        self._dense_embeddings: Tensor | None = None
        self._dense_labels: Tensor | None = None

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: tuple[Tensor, ...] | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> Tensor:
        """The loss of one pass, in float32 at least, autocast or not.

        Args:
            embeddings: Of a batch, ``[batch, dim]``.
            labels: ``[batch]``.
            indices_tuple: A miner's pairs or triplets.
            **kwargs: Passed on to the loss (``ref_emb``, ``enqueue_mask``, ...).

        Raises:
            RuntimeError: If a subnetwork is compared with the dense network's embeddings before
                that one embedded a batch, or after it embedded another one.
        """
        embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        with torch.autocast(embeddings.device.type, enabled=False):  # or PML halves its weights
            total: Tensor = self._of_pass(embeddings, labels, indices_tuple, **kwargs)
        return total

    def _of_pass(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        indices_tuple: tuple[Tensor, ...] | None,
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if get_capacity(self._model[0]) == 1:
            self._dense_embeddings, self._dense_labels = embeddings.detach(), labels
            return self.loss(embeddings, labels, indices_tuple, **kwargs)
        terms = []
        if self.space != "embedding":
            terms.append(self._in_logit_space(embeddings, labels, indices_tuple, **kwargs))
        if self.space != "logit":
            dense = self._dense_of(embeddings, labels)
            refs = {"ref_emb": dense, "ref_labels": labels, **kwargs}
            terms.append(self.loss(embeddings, labels, indices_tuple, **refs))
        if self.alignment:
            if not isinstance(terms[0], Tensor):
                raise ValueError(
                    "`alignment` should be 0 for a loss whose reducer gives no tensor. "
                    f"Found {self.alignment:g} and a {type(terms[0]).__name__}."
                )
            similarity = nn.functional.cosine_similarity(
                embeddings, self._dense_of(embeddings, labels)
            )
            terms.append(self.alignment * (1 - similarity).mean())
        return sum(terms[1:], terms[0])  # one term may be a reducer's dict

    def _in_logit_space(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        weights = {name: weight.detach() for name, weight in self.loss.named_parameters()}
        return functional_call(self.loss, weights, args, kwargs)

    def _dense_of(self, embeddings: Tensor, labels: Tensor | None) -> Tensor:
        """The dense network's embeddings of these very images, as far as labels can tell."""
        dense, seen = self._dense_embeddings, self._dense_labels
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
