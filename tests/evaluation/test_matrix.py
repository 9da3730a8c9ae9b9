"""The compatibility matrix: its numbers against a slow, obvious loop, its reading and its files."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor

from prunnet_pml.evaluation import METRICS, CompatibilityMatrix


def slow_metrics(
    query: Tensor, labels: Tensor, gallery: Tensor, indexed: Tensor, leave_one_out: bool, k: int
) -> dict[str, float]:
    """Every metric, one query at a time, as the definitions read."""
    found: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for i in range(len(query)):
        others = [j for j in range(len(gallery)) if not (leave_one_out and i == j)]
        relevant = sum(int(indexed[j] == labels[i]) for j in others)
        if relevant == 0:
            continue
        others.sort(key=lambda j: float((query[i].double() - gallery[j].double()).norm()))
        hits = [bool(indexed[j] == labels[i]) for j in others]
        for r in (1, 2, 4, 8):
            found[f"recall_at_{r}"].append(float(any(hits[:r])))
        for metric, depth in (("", k), ("_at_r", relevant)):
            precision = [
                sum(hits[: n + 1]) / (n + 1) for n in range(min(depth, len(hits))) if hits[n]
            ]
            found[f"mean_average_precision{metric}"].append(sum(precision) / relevant)
    return {m: sum(values) / len(values) if values else math.nan for m, values in found.items()}


def embeddings(n: int, seed: int, dimension: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, dimension, generator=generator), dim=1)


LABELS = {
    "even classes": torch.arange(24) % 6,
    "uneven classes and queries alone": torch.tensor([0] * 11 + [1, 1, 1, 2, 3, 4, 4]),
    "fewer images than 8 results": torch.tensor([0, 0, 1, 1, 1]),
    "labels that float32 can't tell apart": torch.tensor([0, 0, *range(2**24, 2**24 + 4)] * 2),
    "negative labels": torch.tensor([-1, -1, -2, 5, 5, 5]),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_between_two_networks_agrees_with_a_slow_loop(name: str, seed: int) -> None:
    labels = LABELS[name]
    networks = {1.0: embeddings(len(labels), seed), 0.2: embeddings(len(labels), seed + 100)}
    matrix = CompatibilityMatrix.from_embeddings(networks, labels)
    for q, query in networks.items():
        for g, gallery in networks.items():
            expected = slow_metrics(query, labels, gallery, labels, True, matrix.k)
            for metric, value in expected.items():
                assert matrix.value(metric, q, g) == pytest.approx(value, abs=1e-9), metric


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("seed", range(3))
def test_separate_gallery_agrees_with_a_slow_loop(name: str, seed: int) -> None:
    labels = LABELS[name]
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    indexed = labels[torch.cat([order, order[: len(order) // 2]])]
    query = {1.0: embeddings(len(labels), seed), 0.4: embeddings(len(labels), seed + 10)}
    gallery = {1.0: embeddings(len(indexed), seed + 20)}
    matrix = CompatibilityMatrix.from_embeddings(query, labels, gallery, indexed)
    for q in query:
        expected = slow_metrics(query[q], labels, gallery[1.0], indexed, False, matrix.k)
        for metric, value in expected.items():
            assert matrix.value(metric, q, 1.0) == pytest.approx(value, abs=1e-9), metric


@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_in_a_gallery_with_more_images_agrees_with_a_slow_loop(seed: int) -> None:
    labels, more = torch.arange(12) % 5, torch.arange(20) % 7
    indexed = torch.cat([labels, more])
    query, gallery = embeddings(12, seed), embeddings(32, seed + 10)
    matrix = CompatibilityMatrix.from_embeddings(
        {0.2: query}, labels, {1.0: gallery}, indexed, leave_one_out=True
    )
    expected = slow_metrics(query, labels, gallery, indexed, True, matrix.k)
    for metric, value in expected.items():
        assert matrix.value(metric, 0.2, 1.0) == pytest.approx(value, abs=1e-9), metric


def test_what_pml_computes_itself_is_the_same() -> None:
    labels, indexed = torch.arange(40) % 8, torch.arange(60) % 9
    query, gallery = embeddings(40, 0), embeddings(60, 1)
    matrix = CompatibilityMatrix.from_embeddings({0.2: query}, labels, {1.0: gallery}, indexed)
    calculator = AccuracyCalculator(k=matrix.k, device=torch.device("cpu"))
    expected = calculator.get_accuracy(
        query, labels, gallery, indexed,
        include=("precision_at_1", "mean_average_precision", "mean_average_precision_at_r"),
    )  # fmt: skip
    expected["recall_at_1"] = expected.pop("precision_at_1")
    for metric, value in expected.items():
        assert matrix.value(metric, 0.2, 1.0) == pytest.approx(value, abs=1e-12)


def test_query_is_left_out_by_its_index_and_not_as_the_first_result() -> None:
    # Network b sees image 0 where network a sees image 1, and the other way round.
    a = torch.eye(4)
    b = torch.eye(4)[[1, 0, 3, 2]]
    labels = torch.tensor([0, 0, 1, 1])
    matrix = CompatibilityMatrix.from_embeddings({1.0: a, 0.5: b}, labels)
    assert matrix.value("recall_at_1", 1.0, 0.5) == 1
    apart = CompatibilityMatrix.from_embeddings({1.0: a, 0.5: b}, torch.tensor([0, 1, 1, 0]))
    assert apart.value("recall_at_1", 1.0, 0.5) == 0


def test_images_that_are_equal_still_find_each_other() -> None:
    same = torch.ones(6, 3)
    matrix = CompatibilityMatrix.from_embeddings({1.0: same}, torch.zeros(6, dtype=torch.long))
    assert all(matrix.value(metric, 1.0, 1.0) == 1 for metric in METRICS)


def test_gallery_of_another_network_on_the_same_images_is_a_leave_one_out() -> None:
    labels, mine, theirs = torch.arange(20) % 4, embeddings(20, 0), embeddings(20, 1)
    one = CompatibilityMatrix.from_embeddings({1.0: mine}, labels, {0.5: theirs})
    both = CompatibilityMatrix.from_embeddings({1.0: mine, 0.5: theirs}, labels)
    assert one.query_capacities == (1.0,)
    assert one.gallery_capacities == (0.5,)
    for metric in METRICS:
        assert one.value(metric, 1.0, 0.5) == both.value(metric, 1.0, 0.5)


def test_queries_without_a_match_are_left_out_of_the_averages() -> None:
    query, gallery = embeddings(3, 0), embeddings(4, 1)
    labels, indexed = torch.tensor([0, 1, 9]), torch.tensor([0, 1, 2, 2])
    with_lone = CompatibilityMatrix.from_embeddings({1.0: query}, labels, {1.0: gallery}, indexed)
    without = CompatibilityMatrix.from_embeddings(
        {1.0: query[:2]}, labels[:2], {1.0: gallery}, indexed
    )
    for metric in METRICS:
        assert with_lone.value(metric, 1.0, 1.0) == without.value(metric, 1.0, 1.0)


def test_no_query_with_a_match_gives_nan_everywhere_and_survives_a_file() -> None:
    matrix = CompatibilityMatrix.from_embeddings({1.0: embeddings(5, 0)}, torch.arange(5))
    assert all(np.isnan(matrix[metric]).all() for metric in METRICS)
    assert "NaN" not in matrix.to_json()
    assert np.isnan(CompatibilityMatrix.from_json(matrix.to_json())["recall_at_1"]).all()
    assert "n/a" in matrix.to_markdown()


def test_default_k_is_the_largest_number_of_matches_and_at_least_8() -> None:
    few, many = torch.arange(30) % 10, torch.arange(30) % 2
    assert CompatibilityMatrix.from_embeddings({1.0: embeddings(30, 0)}, few).k == 8
    assert CompatibilityMatrix.from_embeddings({1.0: embeddings(30, 0)}, many).k == 14
    assert CompatibilityMatrix.from_embeddings({1.0: embeddings(4, 0)}, few[:4]).k == 3


def test_larger_k_gives_the_full_map_and_leaves_the_rest_alone() -> None:
    labels, query = torch.arange(30) % 10, {1.0: embeddings(30, 0)}
    short = CompatibilityMatrix.from_embeddings(query, labels)
    full = CompatibilityMatrix.from_embeddings(query, labels, k=1000)
    assert full.k == 29
    expected = slow_metrics(query[1.0], labels, query[1.0], labels, True, 29)
    assert full.value("mean_average_precision", 1.0, 1.0) == pytest.approx(
        expected["mean_average_precision"]
    )
    assert full.value("mean_average_precision", 1.0, 1.0) > short.value(
        "mean_average_precision", 1.0, 1.0
    )
    for metric in set(METRICS) - {"mean_average_precision"}:
        assert full.value(metric, 1.0, 1.0) == short.value(metric, 1.0, 1.0)


def test_scale_of_unnormalised_embeddings_does_not_lose_the_gallery() -> None:
    labels, x = torch.arange(12) % 3, embeddings(12, 0)
    small = CompatibilityMatrix.from_embeddings({1.0: x * 1e-3}, labels)
    large = CompatibilityMatrix.from_embeddings({1.0: x * 1e3}, labels)
    assert (small["recall_at_1"] == large["recall_at_1"]).all()


X, Y = embeddings(6, 0), torch.tensor([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({}, Y), "`query` should hold embeddings of at least one capacity. Found none."),
        (({1.0: X[:5]}, Y), r"`query` should hold embeddings \[6, d\], one per label. Found"),
        (({1.0: X}, Y.float()), r"`query_labels` should be integers \[n\]"),
        (({1.0: X}, Y[:0]), r"`query_labels` should be integers \[n\]"),
        (({1.0: X}, Y, {1.0: X[:, :3]}), r"of one size. Found \[3, 5\]."),
        (({1.0: X}, Y, {0.2: X / 0}, Y), "`gallery` should hold finite embeddings. Found"),
        (({1.0: X[:1]}, Y[:1]), "`gallery` should hold at least 2 images in a leave-one-out."),
    ],
)
def test_embeddings_that_do_not_fit_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompatibilityMatrix.from_embeddings(*arguments)


def test_leave_one_out_of_different_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`leave_one_out` should be True only where"):
        CompatibilityMatrix.from_embeddings({1.0: X}, Y, {1.0: X}, Y.flip(0), leave_one_out=True)


def test_k_that_would_falsify_map_at_r_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`k` should be at least 2, .* Found 1."):
        CompatibilityMatrix.from_embeddings({1.0: X}, Y, k=1)
    with pytest.raises(ValueError, match=r"`k` should be an integer\. Found 'a'\."):
        CompatibilityMatrix.from_embeddings({1.0: X}, Y, k="a")
    with pytest.raises(ValueError, match=r"`query` should hold tensors \[n, d\]. Found a ndarray"):
        CompatibilityMatrix.from_embeddings({1.0: X.numpy()}, Y)
    with pytest.raises(ValueError, match=r"`query_labels` should be a tensor of integers"):
        CompatibilityMatrix.from_embeddings({1.0: X}, Y.tolist())
    enough = np.int64(len(Y))
    assert CompatibilityMatrix.from_embeddings({1.0: X}, Y, k=enough).k == len(Y) - 1


@pytest.fixture
def matrix() -> CompatibilityMatrix:
    values = np.array([[0.9, 0.7, 0.5], [0.8, 0.65, 0.45]])
    return CompatibilityMatrix(
        query_capacities=(1.0, 0.2),
        gallery_capacities=(1.0, 0.5, 0.2),
        values={metric: values / (i + 1) for i, metric in enumerate(METRICS)},
        k=8,
        trained_capacities=(0.2,),
    )


def test_cells_self_tests_and_cross_tests_are_where_they_belong(
    matrix: CompatibilityMatrix,
) -> None:
    assert matrix["recall_at_1"].shape == (2, 3)
    assert matrix["recall_at_1"].dtype == np.float64
    assert matrix.value("recall_at_1", query=0.2, gallery=0.5) == 0.65
    assert matrix.capacities == (1.0, 0.2)
    assert matrix.self_test() == {1.0: 0.9, 0.2: 0.45}
    assert matrix.cross_test() == {1.0: 0.9, 0.2: 0.8}
    assert matrix.cross_test("recall_at_2", gallery=0.5) == {1.0: 0.35, 0.2: 0.325}


def test_capacity_is_found_whatever_float_names_it(matrix: CompatibilityMatrix) -> None:
    assert matrix.value("recall_at_1", query=1 - 0.8, gallery=1) == 0.8


def test_numbers_can_not_be_changed_by_accident(matrix: CompatibilityMatrix) -> None:
    with pytest.raises(ValueError, match=r"read-only"):
        matrix["recall_at_1"][0, 0] = 1


def test_unknown_metric_or_capacity_is_named(matrix: CompatibilityMatrix) -> None:
    with pytest.raises(ValueError, match=r"`metric` should be one of .* Found 'R@1'."):
        matrix["R@1"]
    with pytest.raises(ValueError, match=r"`query` should be one of .* Found 0.5."):
        matrix.value("recall_at_1", 0.5, 1.0)
    with pytest.raises(ValueError, match=r"`gallery` should be one of .* Found 0.3."):
        matrix.cross_test(gallery=0.3)


def test_values_of_another_shape_and_capacities_twice_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`values\['recall_at_1'\]` should be \(1, 2\)"):
        CompatibilityMatrix((1.0,), (1.0, 0.2), {"recall_at_1": np.zeros((2, 1))}, k=8)
    with pytest.raises(ValueError, match=r"`gallery_capacities` should be distinct"):
        CompatibilityMatrix((1.0,), (1.0, 1.0), {"recall_at_1": np.zeros((1, 2))}, k=8)


def test_json_gives_the_same_matrix_back_from_text_and_from_a_file(
    matrix: CompatibilityMatrix, tmp_path: Path
) -> None:
    path = tmp_path / "new folder" / "matrix.json"
    text = matrix.to_json(path)
    assert path.read_text(encoding="utf-8") == text
    assert list(path.parent.iterdir()) == [path]
    for again in map(CompatibilityMatrix.from_json, (text, path, str(path))):
        assert again.query_capacities == matrix.query_capacities
        assert again.gallery_capacities == matrix.gallery_capacities
        assert again.trained_capacities == matrix.trained_capacities
        assert again.k == matrix.k
        assert all((again[metric] == matrix[metric]).all() for metric in METRICS)


def test_json_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`source` should be a matrix's JSON. Found: no"):
        CompatibilityMatrix.from_json(json.dumps({"values": {}}))
    for text in ('{"bad', json.dumps({"query_capacities": 1, "gallery_capacities": [1],
                                            "values": [], "k": 8})):  # fmt: skip
        with pytest.raises(ValueError, match=r"`source` should be a matrix's JSON. Found: "):
            CompatibilityMatrix.from_json(text)
    with pytest.raises(FileNotFoundError, match=r"`source` should be .* no file 'nope\.json'\."):
        CompatibilityMatrix.from_json("nope.json")


def test_markdown_is_a_table_in_percent(matrix: CompatibilityMatrix) -> None:
    assert matrix.to_markdown() == (
        "| R@1, query \\ gallery | 100% | 50% | 20% |\n"
        "| ---: | ---: | ---: | ---: |\n"
        "| 100% | 90.0 | 70.0 | 50.0 |\n"
        "| 20% | 80.0 | 65.0 | 45.0 |\n"
    )


def test_rich_table_has_a_row_per_query_capacity(matrix: CompatibilityMatrix) -> None:
    table = matrix.table("recall_at_2")
    assert table.title == "R@2, %"
    assert [column.header for column in table.columns] == ["capacity", "100%", "50%", "20%"]
    assert [list(column.cells) for column in table.columns][:2] == [
        ["100%", "20%"],
        ["45.0", "40.0"],
    ]


def test_the_first_dimensions_of_embeddings_are_embeddings() -> None:
    """A slice, which faiss does not take as it lies in memory."""
    labels = torch.arange(12) % 3
    whole = {1.0: embeddings(12, 1), 0.5: embeddings(12, 2)}
    slices = {capacity: tensor[:, :3] for capacity, tensor in whole.items()}
    copies = {capacity: tensor.clone() for capacity, tensor in slices.items()}
    found, expected = (CompatibilityMatrix.from_embeddings(e, labels) for e in (slices, copies))
    assert found.to_json() == expected.to_json()
