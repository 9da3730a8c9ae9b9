"""Protocols: their metrics against slow, obvious loops over one ranking, by the papers' words."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import prunnet_pml as prunnet
from prunnet_pml.evaluation import CompatibilityMatrix, embed
from prunnet_pml.evaluation.protocols import (
    GroundTruth,
    LandmarkProtocol,
    Protocol,
    RankingProtocol,
    RevisitedProtocol,
    average_precision,
    scoring,
    trapezoid_average_precision,
)

Judged = list[list[int]]  # for each query, positions in the gallery


def embeddings(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(n, 6, generator=generator), dim=1)


def ranking(query: Tensor, gallery: Tensor) -> list[int]:
    distance = (query.double() - gallery.double()).norm(dim=1).tolist()
    return sorted(range(len(gallery)), key=distance.__getitem__)


def mean(values: list[float]) -> float:
    counted = [value for value in values if not math.isnan(value)]
    return sum(counted) / len(counted) if counted else math.nan


def judgements(queries: int, gallery: int, kinds: int, seed: int) -> list[Judged]:
    """Disjoint lists for each query, empty and long ones among them: ``[kinds][queries]``."""
    random = np.random.default_rng(seed)
    lists: list[Judged] = [[] for _ in range(kinds)]
    for _ in range(queries):
        order = random.permutation(gallery).tolist()
        for kind in lists:
            size = int(random.integers(0, gallery // (kinds + 1)))
            kind.append(order[:size])
            order = order[size:]
    return lists


def scored(protocol: Protocol, queries: int, gallery: int) -> CompatibilityMatrix:
    return CompatibilityMatrix.from_protocol(
        protocol,
        {1.0: embeddings(queries, 1), 0.2: embeddings(queries, 2)},
        {1.0: embeddings(gallery, 3), 0.6: embeddings(gallery, 4)},
    )


def rankings(queries: int, gallery: int) -> dict[tuple[float, float], list[list[int]]]:
    found = {}
    for q, query_seed in ((1.0, 1), (0.2, 2)):
        for g, gallery_seed in ((1.0, 3), (0.6, 4)):
            query, indexed = embeddings(queries, query_seed), embeddings(gallery, gallery_seed)
            found[q, g] = [ranking(one, indexed) for one in query]
    return found


def without(results: list[int], junk: list[int]) -> list[int]:
    return [image for image in results if image not in junk]


def slow_average_precision(results: list[int], relevant: list[int]) -> float:
    if not relevant:
        return math.nan
    precision = [
        sum(image in relevant for image in results[: n + 1]) / (n + 1)
        for n in range(len(results))
        if results[n] in relevant
    ]
    return sum(precision) / len(relevant)


def slow_trapezoids(results: list[int], relevant: list[int]) -> float:
    """The area under precision over recall, from point to point, one result after the other."""
    if not relevant:
        return math.nan
    area, recall, precision, hits = 0.0, 0.0, 1.0, 0
    for n, image in enumerate(results):
        hits += image in relevant
        new_recall, new_precision = hits / len(relevant), hits / (n + 1)
        area += (new_recall - recall) * (precision + new_precision) / 2
        recall, precision = new_recall, new_precision
    return area


def slow_precision(k: int, results: list[int], relevant: list[int]) -> float:
    if not relevant:
        return math.nan
    last = max(n for n, image in enumerate(results) if image in relevant)
    depth = min(k, last + 1)
    return sum(image in relevant for image in results[:depth]) / depth


@pytest.mark.parametrize("seed", range(4))
def test_map_and_recall_agree_with_a_slow_loop_that_removes_junk(seed: int) -> None:
    relevant, junk = judgements(9, 40, 2, seed)
    relevant[4] = []  # left out of all means
    protocol = RankingProtocol(GroundTruth(relevant, junk, 40), recall_at=(1, 3, 10, 100))
    matrix = scored(protocol, 9, 40)
    for (q, g), found in rankings(9, 40).items():
        kept = list(map(without, found, junk))
        expected = mean(list(map(slow_average_precision, kept, relevant)))
        assert matrix.value("mean_average_precision", q, g) == pytest.approx(expected)
        for k in (1, 3, 10, 100):
            hits = [
                float(any(image in good for image in results[:k])) if good else math.nan
                for results, good in zip(kept, relevant, strict=True)
            ]
            assert matrix.value(f"recall_at_{k}", q, g) == pytest.approx(mean(hits))


@pytest.mark.parametrize("seed", range(3))
def test_map_at_100_agrees_with_a_slow_loop(seed: int) -> None:
    relevant = judgements(6, 400, 1, seed)[0]
    relevant[0] = list(range(150))  # more than 100
    relevant[1] = [7]
    matrix = scored(LandmarkProtocol(GroundTruth(relevant, [[]] * 6, 400)), 6, 400)
    assert matrix.k == 100
    for (q, g), found in rankings(6, 400).items():
        scores = [
            slow_average_precision(results[:100], good) * len(good) / min(len(good), 100)
            if good
            else math.nan
            for results, good in zip(found, relevant, strict=True)
        ]
        value = matrix.value("mean_average_precision_at_100", q, g)
        assert value == pytest.approx(mean(scores))


def test_query_with_300_relevant_landmarks_reaches_a_map_at_100_of_1() -> None:
    gallery = torch.arange(400).float().unsqueeze(1)
    protocol = LandmarkProtocol(GroundTruth([list(range(300))], [[]], 400))
    matrix = CompatibilityMatrix.from_protocol(protocol, {1.0: torch.zeros(1, 1)}, {1.0: gallery})
    assert matrix.value("mean_average_precision_at_100", 1.0, 1.0) == 1


@pytest.mark.parametrize("seed", range(4))
def test_easy_medium_and_hard_agree_with_a_slow_loop(seed: int) -> None:
    easy, hard, junk = judgements(8, 50, 3, seed)
    easy[2] = []  # no easy image: left out of easy alone
    hard[5] = []
    matrix = scored(RevisitedProtocol(easy, hard, junk, 50), 8, 50)
    both = [a + b for a, b in zip(easy, hard, strict=True)]
    setups = {
        "easy": (easy, [a + b for a, b in zip(hard, junk, strict=True)]),
        "medium": (both, junk),
        "hard": (hard, [a + b for a, b in zip(easy, junk, strict=True)]),
    }
    for (q, g), found in rankings(8, 50).items():
        for setup, (relevant, ignored) in setups.items():
            kept = list(map(without, found, ignored))
            value = matrix.value(f"mean_average_precision_{setup}", q, g)
            assert value == pytest.approx(mean(list(map(slow_trapezoids, kept, relevant))))
            for k in (1, 5, 10):
                expected = [
                    slow_precision(k, results, good)
                    for results, good in zip(kept, relevant, strict=True)
                ]
                value = matrix.value(f"mean_precision_at_{k}_{setup}", q, g)
                assert value == pytest.approx(mean(expected))


def test_trapezoids_lie_below_the_finite_sum_unless_the_ranking_is_perfect() -> None:
    ranks = np.array([0, 3, 4, 11])
    assert trapezoid_average_precision(ranks, 5) < average_precision(ranks, 5)
    perfect = np.arange(6)
    assert trapezoid_average_precision(perfect, 6) == average_precision(perfect, 6) == 1


def test_metrics_without_a_relevant_image_are_nan_and_warn_nobody() -> None:
    protocol = RevisitedProtocol([[]] * 3, [[]] * 3, [[0]] * 3, 10)
    matrix = scored(protocol, 3, 10)
    assert all(np.isnan(matrix[metric]).all() for metric in matrix.values)


@pytest.mark.parametrize("seed", range(3))
def test_same_label_is_relevant_and_same_camera_is_junk(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, cameras = random.integers(0, 5, 12), random.integers(0, 3, 12)
    indexed, seen_by = random.integers(0, 6, 40), random.integers(0, 3, 40)
    plain = GroundTruth.from_labels(labels, indexed)
    strict = GroundTruth.from_labels(labels, indexed, cameras, seen_by)
    assert (len(plain), plain.gallery_size) == (12, 40)
    for query in range(12):
        same = [i for i in range(40) if indexed[i] == labels[query]]
        other = [i for i in same if seen_by[i] != cameras[query]]
        assert plain.relevant[query].tolist() == same
        assert plain.junk[query].tolist() == []
        assert strict.relevant[query].tolist() == other
        assert strict.junk[query].tolist() == [i for i in same if i not in other]


def test_without_junk_it_is_what_labels_give(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, indexed = torch.arange(30) % 5, torch.arange(45) % 6
    query, gallery = {0.2: embeddings(30, 0)}, {1.0: embeddings(45, 1)}
    by_label = CompatibilityMatrix.from_embeddings(query, labels, gallery, indexed, k=45)
    protocol = RankingProtocol(GroundTruth.from_labels(labels, indexed), recall_at=(1, 2, 4, 8))
    by_protocol = CompatibilityMatrix.from_protocol(protocol, query, gallery)
    for metric in by_protocol.values:
        assert by_protocol[metric] == pytest.approx(by_label[metric])
    monkeypatch.setattr(scoring, "_RESULTS_AT_ONCE", 100)  # chunks of two queries
    in_chunks = CompatibilityMatrix.from_protocol(protocol, query, gallery)
    assert all((in_chunks[m] == by_protocol[m]).all() for m in by_protocol.values)


@pytest.fixture
def model() -> nn.Module:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 6))
    return prunnet.make_prunable(plain, capacities=(0.2, 0.6))


QUERY = torch.rand(6, 1, 4, 4), torch.arange(6) % 3
GALLERY = torch.rand(15, 1, 4, 4), torch.arange(15) % 3
PROTOCOL = RankingProtocol(GroundTruth.from_labels(QUERY[1], GALLERY[1]), recall_at=(1, 2))


def test_evaluate_fills_the_matrix_with_the_protocols_metrics(model: nn.Module) -> None:
    matrix = prunnet.evaluate(model, QUERY, GALLERY, (0.2, 1.0), protocol=PROTOCOL)
    assert set(matrix.values) == {"recall_at_1", "recall_at_2", "mean_average_precision"}
    assert matrix.trained_capacities == (0.6, 0.2)
    with prunnet.capacity(model, 0.2):
        query = embed(model, QUERY)[0]
    by_hand = CompatibilityMatrix.from_protocol(
        PROTOCOL, {0.2: query}, {1.0: embed(model, GALLERY)[0]}
    )
    for metric in matrix.values:
        assert matrix.value(metric, 0.2, 1.0) == by_hand.value(metric, 0.2, 1.0)
    again = CompatibilityMatrix.from_json(matrix.to_json())
    assert (again["mean_average_precision"] == matrix["mean_average_precision"]).all()
    assert "| R@1, query" in matrix.to_markdown()


def test_shuffled_loader_is_refused_where_positions_matter(model: nn.Module) -> None:
    gallery = TensorDataset(*GALLERY)
    in_order = DataLoader(gallery, batch_size=4)
    prunnet.evaluate(model, QUERY, in_order, (1.0,), protocol=PROTOCOL)
    with pytest.raises(ValueError, match=r"`gallery` should be read in order .* RandomSampler."):
        shuffled = DataLoader(gallery, batch_size=4, shuffle=True)
        prunnet.evaluate(model, QUERY, shuffled, (1.0,), protocol=PROTOCOL)


def test_protocol_with_no_gallery_or_with_a_k_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"`gallery` should be given with a `protocol`."):
        prunnet.evaluate(model, QUERY, protocol=PROTOCOL)
    with pytest.raises(ValueError, match=r"`k` should be None with a `protocol`"):
        prunnet.evaluate(model, QUERY, GALLERY, k=3, protocol=PROTOCOL)


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        ({}, {1.0: torch.rand(15, 3)}, "`query` should hold embeddings of at least one capacity"),
        ({1.0: torch.rand(7, 3)}, {1.0: torch.rand(15, 3)}, r"`query` .* \[6, d\], .* \(7, 3\)"),
        ({1.0: torch.rand(6, 3)}, {0.2: torch.rand(14, 3)}, r"`gallery` .* \[15, d\], .* 0.2."),
        ({1.0: torch.rand(6, 3)}, {1.0: torch.rand(15, 4)}, r"of one size. Found \[3, 4\]."),
        ({1.0: torch.rand(6, 3) / 0}, {1.0: torch.rand(15, 3)}, "`query` should hold finite"),
        ({1.0: np.zeros((6, 3))}, {1.0: torch.rand(15, 3)}, "should hold tensors .* Found a ndarr"),
        (torch.rand(6, 3), {1.0: torch.rand(15, 3)}, "embeddings by capacity. Found a Tensor."),
    ],
)
def test_embeddings_of_another_set_are_refused(query: dict, gallery: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompatibilityMatrix.from_protocol(PROTOCOL, query, gallery)


@pytest.mark.parametrize(
    ("relevant", "junk", "message"),
    [
        ([], [], "`relevant` should be of at least one query. Found none."),
        ([[1]], [[], []], "`relevant` and `junk` should be of as many queries. Found 1 and 2."),
        ([[1], [5]], [[], []], r"should be in \[0, 5\), the gallery. Found 5 to 5 for query=1."),
        ([[-1, 2]], [[]], "Found -1 to 2 for query=0."),
        ([[1, 2]], [[2]], "An image should be relevant or junk, and once. Found one twice"),
        ([[0.5]], [[]], "Positions in the gallery should be integers. Found float64."),
    ],
)
def test_impossible_ground_truth_is_refused(relevant: list, junk: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroundTruth(relevant, junk, 5)


def test_recall_at_0_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`recall_at` should be at least 1 each. Found \(0, 1\)."):
        RankingProtocol(PROTOCOL.ground_truth, recall_at=(0, 1))
