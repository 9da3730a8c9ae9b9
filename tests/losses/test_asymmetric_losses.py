"""AML's losses of pairs and triplets: against loops, alone and inside of a ``CompatibleLoss``."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import distances, reducers
from torch import Tensor

import prunnet_pml as prunnet
from prunnet_pml.losses import AsymmetricContrastiveLoss, AsymmetricTripletLoss, CompatibleLoss

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
REF_LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 2, 0])


def embeddings(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 4, generator=generator, dtype=torch.float64).requires_grad_()


def distance(one: Tensor, other: Tensor) -> Tensor:
    return (one / one.norm() - other / other.norm()).norm()


@pytest.mark.parametrize(("pos_margin", "neg_margin"), [(0.0, 0.7), (0.2, 1.3)])
def test_contrastive_equals_a_loop(pos_margin: float, neg_margin: float) -> None:
    students, teachers = embeddings(6, 1), embeddings(8, 2)
    should = torch.zeros((), dtype=torch.float64)
    for i, j in product(range(6), range(8)):
        d = distance(students[i], teachers[j])
        hinge = d - pos_margin if LABELS[i] == REF_LABELS[j] else neg_margin - d
        should = should + 0.5 * hinge.clamp(min=0) ** 2
    loss_func = AsymmetricContrastiveLoss(pos_margin, neg_margin, reducer=reducers.SumReducer())
    found = loss_func(students, LABELS, ref_emb=teachers, ref_labels=REF_LABELS)
    torch.testing.assert_close(found, should)
    [of_found], [of_should] = (torch.autograd.grad(x, students) for x in (found, should))
    torch.testing.assert_close(of_found, of_should)


@pytest.mark.parametrize("margin", [0.1, 1.5])
def test_triplet_equals_a_loop(margin: float) -> None:
    students, teachers = embeddings(6, 1), embeddings(8, 2)
    hinges = []
    for i in range(6):
        squared = [distance(students[i], teacher) ** 2 for teacher in teachers]
        positive = max(
            d for d, label in zip(squared, REF_LABELS, strict=True) if label == LABELS[i]
        )
        negative = min(
            d for d, label in zip(squared, REF_LABELS, strict=True) if label != LABELS[i]
        )
        hinges.append((positive - negative + margin).clamp(min=0))
    should = torch.stack([hinge for hinge in hinges if hinge > 0]).mean()
    loss_func = AsymmetricTripletLoss(margin)
    found = loss_func(students, LABELS, ref_emb=teachers, ref_labels=REF_LABELS)
    torch.testing.assert_close(found, should)
    [of_found], [of_should] = (torch.autograd.grad(x, students) for x in (found, should))
    torch.testing.assert_close(of_found, of_should)


def test_triplet_of_a_similarity_takes_the_least_and_the_most_similar() -> None:
    students, teachers = embeddings(6, 1), embeddings(8, 2)
    cosine = distances.CosineSimilarity()
    loss_func = AsymmetricTripletLoss(distance=cosine, reducer=reducers.SumReducer())
    found = loss_func(students, LABELS, ref_emb=teachers, ref_labels=REF_LABELS)
    should = 0.0
    for row, label in zip(cosine(students, teachers), LABELS, strict=True):
        same = label == REF_LABELS
        should += max(0.0, (row[~same].max() - row[same].min() + 0.1).item())
    assert found.item() == pytest.approx(should)


def test_triplets_of_a_miner_are_taken_as_they_are() -> None:
    students, teachers = embeddings(6, 1), embeddings(8, 2)
    mined = tuple(torch.tensor([index]) for index in (0, 3, 5))
    found = AsymmetricTripletLoss(5.0)(students, LABELS, mined, teachers, REF_LABELS)
    positive, negative = (distance(students[0], teachers[j]) ** 2 for j in (3, 5))
    torch.testing.assert_close(found, positive - negative + 5)


@pytest.mark.parametrize("kind", [AsymmetricContrastiveLoss, AsymmetricTripletLoss])
def test_without_positives_or_negatives_there_is_nothing_to_learn(kind: type) -> None:
    students = embeddings(6, 1)
    labels = torch.arange(6)
    loss = kind()(100 * students, labels, ref_emb=-embeddings(6, 1), ref_labels=labels + 6)
    loss.backward()
    assert loss >= 0
    assert students.grad.isfinite().all()


@pytest.mark.parametrize("kind", [AsymmetricContrastiveLoss, AsymmetricTripletLoss])
def test_inside_of_a_compatible_loss_the_dense_network_is_the_teacher(kind: type) -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    loss_func = CompatibleLoss(kind(), model, "embedding", alignment=0)
    dense, masked = embeddings(6, 1), embeddings(6, 2)
    assert torch.equal(loss_func(dense, LABELS), kind()(dense, LABELS))
    with prunnet.capacity(model, 0.4):
        found = loss_func(masked, LABELS)
    assert torch.equal(found, kind()(masked, LABELS, ref_emb=dense, ref_labels=LABELS.clone()))
