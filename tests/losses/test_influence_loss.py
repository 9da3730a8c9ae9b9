"""BCT's influence loss: an old classifier, frozen, on new embeddings."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import losses, reducers, regularizers
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.losses import CompatibleLoss, InfluenceLoss

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
CLASSIFIERS = {
    "linear": lambda: nn.Linear(4, 3),
    "arcface": lambda: losses.ArcFaceLoss(3, 4),
    "several terms": lambda: losses.ProxyAnchorLoss(3, 4),
    "regularized": lambda: losses.NormalizedSoftmaxLoss(
        3, 4, weight_regularizer=regularizers.LpRegularizer()
    ),
}


def embeddings(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 4, generator=generator).requires_grad_()


def test_of_logits_it_equals_a_loop() -> None:
    old, new = nn.Linear(4, 3), embeddings()
    terms = []
    for embedding, label in zip(new, LABELS, strict=True):
        logits = [old.weight[c] @ embedding + old.bias[c] for c in range(3)]
        terms.append(sum(logit.exp() for logit in logits).log() - logits[label])
    should = sum(terms) / 6
    found = InfluenceLoss(old)(new, LABELS)
    torch.testing.assert_close(found, should)
    [of_found], [of_should] = (torch.autograd.grad(x, new) for x in (found, should))
    torch.testing.assert_close(of_found, of_should)


@pytest.mark.parametrize("name", ["arcface", "several terms", "regularized"])
def test_of_a_loss_it_is_that_loss(name: str) -> None:
    old = CLASSIFIERS[name]()
    assert torch.equal(InfluenceLoss(old)(embeddings(), LABELS), old(embeddings(), LABELS))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_old_classifier_stays_as_it_was(name: str) -> None:
    """That in the user's hands too: it goes on training, here it doesn't."""
    old = CLASSIFIERS[name]()
    loss_func = InfluenceLoss(old)
    before = copy.deepcopy(loss_func.state_dict())
    optimizer = torch.optim.SGD([*loss_func.parameters(), new := nn.Parameter(embeddings())], lr=1)
    loss_func(new, LABELS).backward()
    optimizer.step()
    assert all(torch.equal(before[key], value) for key, value in loss_func.state_dict().items())
    assert not torch.equal(new, embeddings())
    assert all(parameter.requires_grad for parameter in old.parameters())
    with torch.no_grad():
        next(old.parameters()).add_(1)
    assert all(torch.equal(before[key], value) for key, value in loss_func.state_dict().items())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_reducer_goes_before_the_classifiers_own(name: str) -> None:
    loss_func = InfluenceLoss(CLASSIFIERS[name](), reducer=reducers.DoNothingReducer())
    terms = loss_func(embeddings(), LABELS)
    assert {"loss"} <= set(terms) or {"pos_loss", "neg_loss"} <= set(terms)


@pytest.mark.parametrize("name", ["linear", "arcface"])
def test_a_miner_weights_the_images(name: str) -> None:
    mined = tuple(torch.tensor(part) for part in ([0, 0], [1, 1], [0, 2], [2, 3]))
    loss_func = InfluenceLoss(CLASSIFIERS[name](), reducer=reducers.DoNothingReducer())
    weighted, plain = (loss_func(embeddings(), LABELS, m)["loss"]["losses"] for m in (mined, None))
    torch.testing.assert_close(weighted, plain * torch.tensor([3, 2, 2, 1, 0, 0]) / 3)


def test_every_capacity_meets_the_old_classifier() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    old = losses.ArcFaceLoss(3, 4)
    loss_func = CompatibleLoss(InfluenceLoss(old), model, alignment=0, contrast=0)
    for capacity in (1.0, 0.4):
        with prunnet.capacity(model, capacity):
            found = loss_func(embeddings(), LABELS)
        assert torch.equal(found, old(embeddings(), LABELS))
        found.backward()
    assert all(parameter.grad is None for parameter in loss_func.parameters())


def test_a_classifier_without_weights_is_refused() -> None:
    message = r"`classifier` should have class weights\. Found ContrastiveLoss without parameters\."
    with pytest.raises(ValueError, match=message):
        InfluenceLoss(losses.ContrastiveLoss())
    with pytest.raises(ValueError, match=r"`classifier` should be a network, .* Found 3\."):
        InfluenceLoss(3)


def test_an_old_classifier_stays_in_eval_mode() -> None:
    """PML and mmengine put a whole loss into training mode."""
    classifier = nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 5))
    loss = InfluenceLoss(classifier).train()
    assert loss.training
    embeddings, labels = torch.randn(6, 8), torch.arange(6) % 5
    before = copy.deepcopy(loss.classifier.state_dict())
    assert loss(embeddings, labels).equal(loss(embeddings, labels))
    for key, value in loss.classifier.state_dict().items():
        assert value.equal(before[key])
