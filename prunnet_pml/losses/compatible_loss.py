"""The loss that ties every subnetwork to the dense network."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from pytorch_metric_learning.losses import SelfSupervisedLoss
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from torch import Tensor, nn

from prunnet_pml.losses.comparison import comparison_of, with_detached_weights
from prunnet_pml.losses.contrast import Contrast
from prunnet_pml.losses.dense_pass import DensePass
from prunnet_pml.losses.spaces import Space, has_memory, why_not


class CompatibleLoss(nn.Module):
    """Any pytorch-metric-learning loss, made to compare a subnetwork with the dense network.

    The dense pass is the loss itself. It alone moves the loss's parameters. A subnetwork's pass
    depends on the space:

    - ``"logit"``: the same loss, so every subnetwork learns to meet the dense network's class
      weights (Eq. 4 of `Learning Compatible Multi-Prize Subnetworks for Asymmetric Retrieval
      <https://arxiv.org/abs/2504.11879>`_).
    - ``"embedding"``: the loss between the subnetwork's embeddings and the dense network's of the
      same batch, detached, as references (``ref_emb``). The same image at both capacities is a
      positive pair. A loss that takes no references sees them as further images of its batch.
    - ``"both"``: the sum of the two, for a loss that has class weights and takes references. (Few
      of PML do; add up two ``CompatibleLoss`` instead, one of them with ``alignment=0``.)

    ``docs/losses.md`` says which losses work in which space. Of PML's wrappers,
    ``DistributedLossWrapper``, ``SelfSupervisedLoss`` and ``CrossBatchMemory`` go inside of a
    ``CompatibleLoss``, ``MultipleLosses`` around several. A memory holds the dense network's
    embeddings alone, and subnetworks are compared with it.

    In a loop over ``optimizer.capacities()`` a pass may hold several calls, for two views of the
    images, say: a subnetwork's meet those of the dense pass in their order. A subnetwork may also
    have the batch of the loop before, called with the very tensor of labels that came with it then.

    To a subnetwork's pass come two terms by which it meets the dense network's embeddings of the
    batch, detached:

    - ``alignment`` times one minus the cosine between both embeddings of an image, in the mean over
      the batch;
    - ``contrast`` times a supervised contrastive loss, at a temperature of 0.05 (`Supervised
      Contrastive Learning <https://arxiv.org/abs/2004.11362>`_): the subnetwork's embeddings are
      the anchors, those of the dense network, mined or not, the positives and negatives. Among the
      positives the same image counts as much as all others of its class. Without labels every
      image is a class of its own. The batch is that of all processes where ``loss`` is in a
      ``DistributedLossWrapper``.

    Args:
        loss: A loss of pytorch-metric-learning. Miners' tuples, reducers and distances pass
            through.
        model: The prunable network, whose capacity says which pass it is. A deep copy of the loss
            looks at a copy of it: copy both in one.
        space: Where to compare. ``"logit"`` and ``"both"`` need a loss with class weights.
        alignment: Weight of the alignment. The paper has none, that is 0.
        contrast: Weight of the contrast. By default 3 in space ``"logit"``, and 0 in the others,
            where ``loss`` itself compares embeddings. The paper has none, that is 0.

    Raises:
        ValueError: If ``space`` is unknown or not one that ``loss`` can compare in, ``alignment``
            or ``contrast`` is negative or infinite, or ``model`` is not prunable.
    """

    def __init__(
        self,
        loss: nn.Module,
        model: nn.Module,
        space: Space = "logit",
        alignment: float = 10.0,
        contrast: float | None = None,
    ) -> None:
        super().__init__()
        if space not in ("logit", "embedding", "both"):
            raise ValueError(f"`space` should be 'logit', 'embedding' or 'both'. Found {space!r}.")
        if contrast is None:
            contrast = 3.0 if space == "logit" else 0.0
        for name, weight in (("alignment", alignment), ("contrast", contrast)):
            if not isinstance(weight, Real) or not 0 <= weight < math.inf:
                raise ValueError(f"`{name}` should be finite, at least 0. Found {weight!r}.")
        if not isinstance(loss, nn.Module) or isinstance(loss, CompatibleLoss):
            raise ValueError(f"`loss` should be a loss of pytorch-metric-learning. Found {loss!r}.")
        self._dense = DensePass(model)
        self._of_views = isinstance(loss, SelfSupervisedLoss)
        self.loss = _of_both_views(loss) if self._of_views else loss
        if reason := why_not(self.loss, space):
            found = type(self.loss).__name__
            raise ValueError(f"`loss` should fit space={space!r}. Found {found}: {reason}.")
        self.space: Space = space
        self.alignment, self.contrast = alignment, contrast
        self._compare = None if space == "logit" else comparison_of(self.loss)
        self._has_memory = has_memory(self.loss)
        self._contrast = Contrast(isinstance(self.loss, DistributedLossWrapper))

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
            labels: ``[batch]``. For a ``SelfSupervisedLoss`` the embeddings of the same images in
                another view, ``[batch, dim]``.
            indices_tuple: A miner's pairs or triplets.
            **kwargs: Passed on to the loss (``ref_emb``, ``enqueue_mask``, ...).

        Raises:
            RuntimeError: If a subnetwork is compared with the dense network's embeddings before
                that one embedded a batch, or after it embedded another one; or by mined pairs with
                a memory, of the batch of the loop before.
            ValueError: If there is a contrast and labels are not one class an image.
        """
        if self._of_views:
            embeddings, labels = _two_views(embeddings, labels)
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
        batch = (embeddings, labels, indices_tuple)
        if self._dense.is_running:
            self._dense.keep(embeddings, labels)
            return self.loss(*batch, **kwargs)
        if self._compare is None and not self.alignment and not self.contrast:
            return with_detached_weights(self.loss, *batch, **kwargs)
        dense = self._dense.embeddings_of(embeddings, labels)
        if self._dense.is_of_before and indices_tuple is not None and self._has_memory:
            raise RuntimeError(
                "`indices_tuple` should be None beside a memory, whose last batch is that of this "
                "loop, where a subnetwork has the batch of the loop before. Found a miner's tuple."
            )
        terms: list[Any] = []
        if self.contrast:
            terms.append(self.contrast * self._contrast(embeddings, labels, dense))
        if self.space != "embedding":
            terms.append(with_detached_weights(self.loss, *batch, **kwargs))
        if self._compare is not None:
            terms.append(self._compare(*batch, dense, **kwargs))
        if self.alignment:
            cosines = nn.functional.cosine_similarity(embeddings, dense)
            terms.append(self.alignment * (1 - cosines).mean())
        if self.alignment or self.contrast:
            self._check_tensors(terms)
        return sum(terms[1:], terms[0])  # one term may be a reducer's dict

    def _check_tensors(self, terms: list[Any]) -> None:
        for term in terms:
            if not isinstance(term, Tensor):
                raise ValueError(
                    "`alignment` and `contrast` should be 0 for a loss whose reducer gives no "
                    f"tensor. Found {self.alignment:g}, {self.contrast:g} and a "
                    f"{type(term).__name__}."
                )


def _of_both_views(loss: Any) -> nn.Module:  # noqa: ANN401
    """What a ``SelfSupervisedLoss`` applies to both views of a batch in one."""
    if not loss.symmetric:
        raise ValueError("`loss` should be symmetric. Found symmetric=False.")
    inner: nn.Module = loss.loss
    return inner


def _two_views(one: Tensor, other: Tensor | None) -> tuple[Tensor, Tensor]:
    """Both views of a batch, ``[2 * batch, dim]``, with a label for each image."""
    if other is None or other.shape != one.shape:
        found = None if other is None else tuple(other.shape)
        raise ValueError(
            "A SelfSupervisedLoss should get two views of every image. "
            f"Found {tuple(one.shape)} and {found}."
        )
    return torch.cat([one, other]), torch.arange(len(one), device=one.device).repeat(2)
