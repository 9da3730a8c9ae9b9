"""AML's contrastive loss: the student's queries in the teacher's gallery."""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning.losses import ContrastiveLoss
from torch import Tensor


class AsymmetricContrastiveLoss(ContrastiveLoss):
    """Half the squared distance of positive pairs, half the squared hinge of negative ones.

    The contrastive loss of `Asymmetric Metric Learning for Knowledge Transfer
    <https://arxiv.org/abs/2006.16331>`_ (CVPR 2021). Anchors are the student's embeddings,
    positives and negatives the teacher's, that is the references::

        loss_func(student(images), labels, ref_emb=teacher(images), ref_labels=labels)

    An image is no positive of its own where both labels are the same tensor (PML's rule). With
    ``ref_labels=labels.clone()``, or in a ``CompatibleLoss``, it is: the paper's regression comes
    on top.

    Args:
        pos_margin: Distance below which a positive pair costs nothing.
        neg_margin: Distance above which a negative pair costs nothing. The paper's code has 0.7.
        **kwargs: As of PML's ``ContrastiveLoss``.

    Default distance: ``LpDistance``. Default reducer: ``AvgNonZeroReducer``; the paper's code sums.
    """

    def __init__(
        self,
        pos_margin: float = 0.0,
        neg_margin: float = 0.7,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(pos_margin=pos_margin, neg_margin=neg_margin, **kwargs)

    def get_per_pair_loss(self, pair_dists: Tensor, pos_or_neg: str) -> Tensor:
        """The terms of all positive or of all negative pairs, ``[pairs]``."""
        hinges: Tensor = super().get_per_pair_loss(pair_dists, pos_or_neg)
        return hinges.square() / 2
