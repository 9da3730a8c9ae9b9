"""Losses of an image with its reference: against loops, and what they refuse."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import distances, reducers
from torch import Tensor

import prunnet_pml as prunnet
from prunnet_pml.losses import (
    AsymmetricRegressionLoss,
    CompatibleLoss,
    FeatureDistillationLoss,
    RelationDistillationLoss,
)

KINDS = [AsymmetricRegressionLoss, FeatureDistillationLoss, RelationDistillationLoss]
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def embeddings(seed: int, dim: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, dim, generator=generator, dtype=torch.float64).requires_grad_()


def assert_same(found: Tensor, should: Tensor, embeddings: Tensor) -> None:
    """In value and gradient."""
    torch.testing.assert_close(found, should, rtol=1e-5, atol=1e-5)  # PML adds 1e-6 to differences
    [of_found], [of_should] = (torch.autograd.grad(x, embeddings) for x in (found, should))
    torch.testing.assert_close(of_found, of_should, rtol=1e-5, atol=1e-5)


def huber(one: Tensor, other: Tensor) -> Tensor:
    gap = (one - other).abs()
    return gap**2 / 2 if gap <= 1 else gap - 0.5


def test_regression_equals_a_loop() -> None:
    students, teachers = embeddings(1), embeddings(2)
    cosines = [s @ t / (s.norm() * t.norm()) for s, t in zip(students, teachers, strict=True)]
    should = torch.stack([1 - cosine for cosine in cosines]).mean()
    assert_same(AsymmetricRegressionLoss()(students, ref_emb=teachers), should, students)


def test_regression_is_the_alignment_of_a_compatible_loss() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    loss_func = CompatibleLoss(FeatureDistillationLoss(), model, "embedding", alignment=3.0)
    dense, masked = embeddings(1), embeddings(2)
    loss_func(dense, LABELS)
    with prunnet.capacity(model, 0.4):
        found = loss_func(masked, LABELS)
    should = FeatureDistillationLoss()(masked, ref_emb=dense)
    should = should + 3 * AsymmetricRegressionLoss()(masked, ref_emb=dense)
    torch.testing.assert_close(found, should)


def test_feature_distillation_equals_a_loop() -> None:
    students, teachers = embeddings(1), embeddings(2)
    squares = [((s - t) ** 2).sum() for s, t in zip(students, teachers, strict=True)]
    should = torch.stack(squares).mean()
    assert_same(FeatureDistillationLoss()(students, ref_emb=teachers), should, students)


@pytest.mark.parametrize(
    "distance",
    [
        distances.LpDistance(),
        distances.LpDistance(p=1, power=3, normalize_embeddings=False),
        distances.DotProductSimilarity(),
        distances.CosineSimilarity(),
        distances.SNRDistance(),
    ],
    ids=lambda d: type(d).__name__,
)
def test_any_distance_draws_to_the_reference(distance: distances.BaseDistance) -> None:
    """The value is that of the distance's own matrix, on its diagonal."""
    students, teachers = embeddings(1), embeddings(2)
    loss_func = FeatureDistillationLoss(distance=distance, reducer=reducers.SumReducer())
    pairs = distance(students, teachers).diagonal()
    should = (1 - pairs if distance.is_inverted else pairs).sum()
    assert_same(loss_func(students, ref_emb=teachers), should, students)


@pytest.mark.parametrize(("of_distances", "of_angles"), [(1.0, 0.0), (0.0, 1.0), (1.0, 2.0)])
def test_relations_equal_a_loop(of_distances: float, of_angles: float) -> None:
    """Three of the six are far off, so that both branches of the Huber loss are there."""
    students, teachers = embeddings(1), embeddings(2, dim=3)  # dimensions may differ
    with torch.no_grad():
        students[0] *= 20
    pairs, triplets = list(permutations(range(6), 2)), list(permutations(range(6), 3))

    def distances_of(points: Tensor) -> list[Tensor]:
        lengths = [(points[i] - points[j]).norm() for i, j in pairs]
        return [length / (sum(lengths) / len(lengths)) for length in lengths]

    def angles_of(points: Tensor) -> list[Tensor]:
        found = []
        for i, j, k in triplets:
            one, other = points[i] - points[j], points[k] - points[j]
            found.append(one @ other / (one.norm() * other.norm()))
        return found

    both = (of_distances, distances_of, pairs), (of_angles, angles_of, triplets)
    should = torch.zeros((), dtype=torch.float64)
    for weight, relations_of, kind in both:
        relations = zip(relations_of(students), relations_of(teachers), strict=True)
        should = should + weight * sum(huber(s, t) for s, t in relations) / len(kind)
    loss_func = RelationDistillationLoss(of_distances, of_angles)
    assert_same(loss_func(students, ref_emb=teachers), should, students)


def test_relations_are_those_of_a_turned_and_scaled_teacher() -> None:
    """So alone they make nothing comparable: turned embeddings cost nothing."""
    teachers = embeddings(1).detach()
    turn, _ = torch.linalg.qr(embeddings(2)[:4].detach())
    loss = RelationDistillationLoss()(3 * teachers @ turn + 1, ref_emb=teachers)
    assert loss.item() == pytest.approx(0, abs=1e-9)
    assert AsymmetricRegressionLoss()(3 * teachers @ turn + 1, ref_emb=teachers) > 0.1


@pytest.mark.parametrize("count", [1, 2])
def test_relations_of_few_images_are_finite(count: int) -> None:
    students = embeddings(1)[:count].detach().requires_grad_()
    RelationDistillationLoss()(students, ref_emb=embeddings(2)[:count]).backward()
    assert students.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_references_there_is_nothing_to_match(kind: type) -> None:
    """The dense pass inside of a ``CompatibleLoss``: no loss, and no NaN."""
    alone = embeddings(1)
    loss = kind()(alone, LABELS)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(alone.grad, torch.zeros_like(alone), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_reducers_see_every_image(kind: type) -> None:
    terms = kind(reducer=reducers.DoNothingReducer())(embeddings(1), ref_emb=embeddings(2))
    for term in terms.values():
        assert term["losses"].shape == (6,)
        assert torch.equal(term["indices"], torch.arange(6))


@pytest.mark.parametrize("kind", KINDS)
def test_references_of_other_images_are_refused(kind: type) -> None:
    message = r"`ref_emb` should be of the same images, 6 rows\. Found 4\."
    with pytest.raises(ValueError, match=message):
        kind()(embeddings(1), LABELS, ref_emb=embeddings(2)[:4], ref_labels=LABELS[:4])


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_a_miner_are_refused(kind: type) -> None:
    pairs = tuple(torch.tensor([0]) for _ in range(4))
    with pytest.raises(ValueError, match="indices_tuple is not supported"):
        kind()(embeddings(1), LABELS, pairs, embeddings(2), LABELS)


def test_relations_by_a_similarity_are_refused() -> None:
    message = r"`distance` should grow with distance\. Found the similarity CosineSimilarity\."
    with pytest.raises(ValueError, match=message):
        RelationDistillationLoss(distance=distances.CosineSimilarity())
