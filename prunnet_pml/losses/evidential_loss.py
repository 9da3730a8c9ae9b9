"""SFSC's classification by evidence, which knows how uncertain it is."""

from __future__ import annotations

import math
from typing import Any

import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

_LARGE = 1e4
"""Where Stirling's series is as exact as gamma functions in float64, whose terms cancel."""
_LEAST_TEMPERATURE = 0.002
"""Evidence goes up to exp(1 / temperature), float64 to exp(709)."""


class EvidentialLoss(NormalizedSoftmaxLoss):
    """Classification by evidence: how hard it pulls depends on how uncertain the network is.

    It makes of logits ``z`` the evidence ``e = exp(z)`` for every class, and of that a Dirichlet
    distribution of class probabilities, with parameters ``alpha = e + 1`` and strength ``S =
    sum(alpha)``. The loss is the cross-entropy in expectation, ``digamma(S) - digamma(alpha_y)``,
    plus ``kl_weight`` times the divergence of the wrong classes' evidence from none. The less
    evidence there is for its class, the harder an image pulls: so subnetworks share the training by
    their uncertainty.

    That is the compatible loss of `Switchable Representation Learning Framework with
    Self-compatibility <https://arxiv.org/abs/2206.08289>`_ (CVPR 2023), as
    ``CompatibleLoss(EvidentialLoss(...), model, alignment=0, contrast=0)``, on the formulas of
    `Evidential Deep Learning to Quantify Classification Uncertainty
    <https://arxiv.org/abs/1806.01768>`_.

    Args:
        num_classes: Number of classes.
        embedding_size: Dimension of the embeddings.
        kl_weight: Weight of the divergence, which grows with the number of classes. For ten of
            them it is usual to raise it from 0 to 1 in the first epochs (set the attribute); with
            hundreds it would outweigh all else.
        **kwargs: As of PML's ``NormalizedSoftmaxLoss``, whose logits these are.

    Raises:
        ValueError: If ``temperature`` is below 0.002: evidence would be infinite.

    Attributes:
        avg_uncertainty: Mean of ``uncertainty`` over the last batch, if ``collect_stats`` is on.
    """

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        kl_weight: float = 0.0,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(num_classes, embedding_size, **kwargs)
        if not self.temperature >= _LEAST_TEMPERATURE:
            raise ValueError(
                f"`temperature` should be at least {_LEAST_TEMPERATURE}. "
                f"Found {self.temperature!r}."
            )
        if not 0 <= kl_weight < math.inf:
            raise ValueError(f"`kl_weight` should be finite, at least 0. Found {kl_weight!r}.")
        self.kl_weight = kl_weight
        self.add_to_recordable_attributes(name="kl_weight", is_stat=False)
        self.add_to_recordable_attributes(name="avg_uncertainty", is_stat=True)

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None,
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """Both terms of every image, ``[batch]``, weighted as PML's classifiers do by a miner."""
        c_f.labels_required(labels)
        c_f.ref_not_supported(embeddings, labels, ref_emb, ref_labels)
        self.cast_types(embeddings.dtype, embeddings.device)
        alpha = self._alpha(embeddings)
        if self.collect_stats:
            self.avg_uncertainty = _uncertainty(alpha).mean().item()
        own = labels.unsqueeze(1)  # and no mask of the classes: a GPU would be waited for
        risk = torch.digamma(alpha.sum(1)) - torch.digamma(alpha.gather(1, own)[:, 0])
        losses = {"loss": risk, "kl_loss": torch.zeros_like(risk)}
        if self.kl_weight:
            losses["kl_loss"] = self.kl_weight * _divergence(alpha.scatter(1, own, 1.0))
        weights = lmu.convert_to_weights(indices_tuple, labels, dtype=embeddings.dtype)
        images = c_f.torch_arange_from_size(embeddings)
        terms = {
            name: {
                "losses": term.to(weights) * weights,
                "indices": images,
                "reduction_type": "element",
            }
            for name, term in losses.items()
        }
        self.add_weight_regularization_to_loss_dict(terms, self.W.t())
        return terms

    def uncertainty(self, embeddings: Tensor) -> Tensor:
        """The share of the Dirichlet's strength that is not evidence, in (0, 1], ``[batch]``."""
        return _uncertainty(self._alpha(embeddings)).to(embeddings.dtype)

    def _alpha(self, embeddings: Tensor) -> Tensor:
        """The Dirichlet parameters, ``[batch, classes]``, in float64: evidence spans decades."""
        logits: Tensor = self.get_logits(embeddings)
        return logits.double().exp() + 1

    def _sub_loss_names(self) -> list[str]:
        return ["loss", "kl_loss"]


def _uncertainty(alpha: Tensor) -> Tensor:
    return alpha.shape[1] / alpha.sum(1)


def _divergence(alpha: Tensor) -> Tensor:
    """KL(Dirichlet(alpha) || Dirichlet(1)), ``[batch]``.

    That is ``f(S) - sum f(alpha_k) + (K - 1) digamma(S) - lgamma(K)``, as the linear terms cancel.
    """
    strength, classes = alpha.sum(1), alpha.shape[1]
    others = (classes - 1) * torch.digamma(strength) - math.lgamma(classes)
    return _without_linear_term(strength) - _without_linear_term(alpha).sum(1) + others


def _without_linear_term(alpha: Tensor) -> Tensor:
    """``f(a) = lgamma(a) - (a - 1) digamma(a) + a``, by Stirling's series where ``a`` is large."""
    small, large = alpha.clamp(max=_LARGE), alpha.clamp(min=_LARGE)
    exact = torch.lgamma(small) - (small - 1) * torch.digamma(small) + small
    series = (large.log() + math.log(2 * math.pi) + 1) / 2 - 1 / (3 * large)
    return torch.where(alpha < _LARGE, exact, series)
