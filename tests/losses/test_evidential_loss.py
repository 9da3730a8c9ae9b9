"""SFSC's evidential loss: its formulas, and what makes it weigh by uncertainty."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import reducers, regularizers
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence

import prunnet_pml as prunnet
from prunnet_pml.losses import CompatibleLoss, EvidentialLoss
from prunnet_pml.losses.evidential_loss import _divergence

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def embeddings(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 4, generator=generator).requires_grad_()


def alphas(loss_func: EvidentialLoss, batch: Tensor) -> list[list[float]]:
    """The Dirichlet parameters, image by image and class by class."""
    weights = loss_func.W.detach()
    rows = []
    for embedding in batch.detach():
        row = []
        for c in range(weights.shape[1]):
            cosine = embedding @ weights[:, c] / (embedding.norm() * weights[:, c].norm())
            row.append(1 + math.exp(cosine.item() / loss_func.temperature))
        rows.append(row)
    return rows


@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
def test_equals_a_loop(kl_weight: float) -> None:
    """The risk in its closed form by torch's digamma, the divergence by torch's distributions."""
    loss_func, batch = EvidentialLoss(3, 4, kl_weight, temperature=0.2), embeddings()
    terms = []
    for alpha, label in zip(alphas(loss_func, batch), LABELS, strict=True):
        strength = torch.tensor(sum(alpha)).digamma()
        risk = strength - torch.tensor(alpha[label]).digamma()
        wrong = torch.tensor([1.0 if c == label else a for c, a in enumerate(alpha)])
        divergence = kl_divergence(Dirichlet(wrong), Dirichlet(torch.ones(3)))
        terms.append(risk + kl_weight * divergence)
    torch.testing.assert_close(loss_func(batch, LABELS), sum(terms) / 6, rtol=1e-4, atol=1e-5)


def test_the_risk_is_the_expected_cross_entropy() -> None:
    """Drawn at random from the Dirichlet distribution, without the closed form."""
    loss_func, batch = EvidentialLoss(3, 4, 0.0, temperature=0.5), embeddings()
    drawn = Dirichlet(torch.tensor(alphas(loss_func, batch))).sample((100_000,))
    entropies = -drawn[:, torch.arange(6), LABELS].log()
    assert loss_func(batch, LABELS).item() == pytest.approx(entropies.mean().item(), rel=0.02)


def test_less_evidence_pulls_harder() -> None:
    """Of two images with the same share of evidence for their class, the less certain one."""
    loss_func = EvidentialLoss(2, 2, kl_weight=0.0, reducer=reducers.SumReducer())
    evidence = torch.tensor([[2.0, 1.0], [20.0, 10.0], [200.0, 100.0]], requires_grad=True)
    loss_func._alpha = lambda _: evidence + 1
    loss_func(torch.ones(3, 2), torch.zeros(3, dtype=torch.long)).backward()
    pull = evidence.grad[:, 0].abs()
    assert pull[0] > pull[1] > pull[2] > 0


def test_uncertainty_is_what_is_no_evidence() -> None:
    loss_func, batch = EvidentialLoss(3, 4), embeddings()
    should = torch.tensor([3 / sum(alpha) for alpha in alphas(loss_func, batch)])
    torch.testing.assert_close(loss_func.uncertainty(batch), should)
    assert (loss_func.uncertainty(batch) <= 1).all()


@pytest.mark.parametrize("logit", [2.0, 20.0, 40.0, 100.0, 400.0])
def test_the_divergence_of_much_evidence_is_exact(logit: float) -> None:
    """Evidence of exp(100) leaves nothing of a difference of gamma functions in float64."""
    logits = torch.tensor([[0.0, logit, 0.9 * logit, -5.0]], requires_grad=True)
    found = _divergence(logits.double().exp() + 1)
    (slope,) = torch.autograd.grad(found, logits)

    def exact(shift: float = 0.0) -> mpmath.mpf:
        alpha = [1 + mpmath.exp(mpmath.mpf(z)) for z in logits[0].tolist()]
        alpha[1] = 1 + mpmath.exp(logits[0, 1].item() + mpmath.mpf(shift))
        strength = mpmath.fsum(alpha)
        surplus = [(a - 1) * (mpmath.digamma(a) - mpmath.digamma(strength)) for a in alpha]
        logs = [mpmath.loggamma(a) for a in alpha]
        return mpmath.loggamma(strength) - mpmath.fsum(logs) - mpmath.log(6) + mpmath.fsum(surplus)

    with mpmath.workdps(400):
        assert found.item() == pytest.approx(float(exact()), rel=1e-6)
        rise = (exact(1e-6) - exact(-1e-6)) / mpmath.mpf(2e-6)
        assert slope[0, 1].item() == pytest.approx(float(rise), rel=1e-4)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`kl_weight` should be finite, at least 0\. Found -1"):
        EvidentialLoss(3, 4, kl_weight=-1)


def test_evidence_beyond_float64_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`temperature` should be at least 0\.002\. Found 0\.001"):
        EvidentialLoss(3, 4, temperature=0.001)
    loss_func = EvidentialLoss(3, 4, kl_weight=1.0, temperature=0.002)
    batch = loss_func.W.detach().t()[[1, 1, 2, 2, 0, 0]].requires_grad_()  # all of them wrong
    loss = loss_func(batch, LABELS)
    loss.backward()
    assert loss.dtype == torch.float32
    assert 0 < loss < 1e4
    assert batch.grad.isfinite().all()
    assert batch.grad.abs().sum() > 0


def test_stats_are_collected_where_asked_for() -> None:
    loss_func = EvidentialLoss(3, 4, collect_stats=True)
    loss_func(embeddings(), LABELS)
    should = loss_func.uncertainty(embeddings()).mean().item()
    assert loss_func.avg_uncertainty == pytest.approx(should)
    assert "avg_uncertainty" in loss_func._record_these_stats
    assert not hasattr(EvidentialLoss(3, 4), "avg_uncertainty")


def test_miners_and_regularizers_are_those_of_pmls_classifiers() -> None:
    loss_func = EvidentialLoss(
        3,
        4,
        weight_regularizer=regularizers.LpRegularizer(),
        reducer=reducers.DoNothingReducer(),
    )
    mined = tuple(torch.tensor(part) for part in ([0, 0], [1, 1], [0, 2], [2, 3]))
    weighted, plain = (loss_func(embeddings(), LABELS, m) for m in (mined, None))
    assert set(plain) == {"loss", "kl_loss", "weight_reg_loss"}
    for name in ("loss", "kl_loss"):
        weights = torch.tensor([3, 2, 2, 1, 0, 0]) / 3
        torch.testing.assert_close(weighted[name]["losses"], plain[name]["losses"] * weights)


def test_subnetworks_meet_the_dense_networks_class_weights() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    loss_func = CompatibleLoss(EvidentialLoss(3, 4), model, alignment=0, contrast=0)
    [weights] = loss_func.parameters()
    for capacity in (1.0, 0.4):
        weights.grad = None
        batch = embeddings()
        with prunnet.capacity(model, capacity):
            loss_func(batch, LABELS).backward()
        assert batch.grad.abs().sum() > 0
        assert (weights.grad is not None) == (capacity == 1)


def test_references_are_refused() -> None:
    with pytest.raises(ValueError, match="ref_emb is not supported"):
        EvidentialLoss(3, 4)(embeddings(), LABELS, ref_emb=embeddings(1), ref_labels=LABELS)
