"""The paper's integrator, against its recording, a naive loop and its own properties."""

from __future__ import annotations

import pytest
import torch
from golden_files import golden
from torch import Tensor

from prunnet_pml.integration import ConflictAware
from prunnet_pml.integration.gramian import draw_orders

CASES = sorted({key.rsplit("/", 1)[0] for key in golden("integration_conv")})
SHAPES = [(6, 4, 3, 3), (5, 1, 3, 3), (1, 7, 1, 1), (9, 12), (11,), (3, 50_000, 1, 1), (300_000,)]


def naive(
    gradients: list[Tensor], orders: Tensor, projection: str, alpha: float, per_filter: bool
) -> Tensor:
    """The formulas, one row and one gradient at a time, in float64."""
    n, shape = len(gradients), gradients[0].shape
    rows = shape[0] if per_filter and len(shape) == 4 else 1
    originals = [gradient.double().reshape(rows, -1) for gradient in gradients]
    projected = [original.clone() for original in originals]
    for row in range(rows):
        for i in range(n):
            own = originals[i][row]
            for j in orders[i].tolist():
                other = originals[j][row]
                start = projected[i][row] if projection == "sequential" else own
                inner = torch.dot(start, other)
                if j != i and inner < 0:
                    projected[i][row] = start - inner / torch.dot(other, other) * other
    weights = []
    for p, g in zip(projected, originals, strict=True):
        lengths = p.norm() * g.norm()
        cosine = (p * g).sum() / lengths if lengths > 0 else 0.0
        weights.append(((cosine + 1) / 2) ** alpha)
    total = sum(n * w / sum(weights) * p for w, p in zip(weights, projected, strict=True))
    return total.reshape(shape)


def planted(n: int, shape: tuple[int, ...], conflict: float) -> list[Tensor]:
    """Gradients that share a direction, of which some point against it."""
    shared = torch.randn(shape)
    signs = torch.where(torch.rand(n) < conflict, -1.0, 1.0)
    return [sign * shared + torch.randn(shape) for sign in signs]


@pytest.mark.parametrize("case", CASES)
def test_the_authors_rule_equals_the_recording(case: str) -> None:
    arrays = golden("integration_conv")
    gradients = torch.from_numpy(arrays[f"{case}/grads"])
    orders = torch.from_numpy(arrays[f"{case}/orders"])
    integrator = ConflictAware(
        "last", float(arrays[f"{case}/exp"]), bool(arrays[f"{case}/by_kernel"])
    )
    n = len(gradients)
    [result] = integrator.integrate([list(gradients)], orders.expand(n, n).unsqueeze(0))
    expected = torch.from_numpy(arrays[f"{case}/out"])
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("projection", ["sequential", "last"])
@pytest.mark.parametrize("per_filter", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [2, 5])
def test_equals_a_naive_loop(
    projection: str, per_filter: bool, shape: tuple[int, ...], n: int
) -> None:
    integrator = ConflictAware(projection, 0.7, per_filter)
    gradients = planted(n, shape, 0.4)
    orders = torch.rand(1, n, n).argsort(2)
    [result] = integrator.integrate([gradients], orders)
    expected = naive(gradients, orders[0], projection, 0.7, per_filter)
    error = (result - expected).norm() / expected.norm()
    assert error < 1e-5


def test_tensors_do_not_touch_each_other() -> None:
    """A batch of tensors is integrated as each of them alone."""
    gradients = [planted(5, shape, 0.5) for shape in SHAPES[:4]]
    orders = torch.rand(4, 5, 5).argsort(2)
    together = ConflictAware().integrate(gradients, orders)
    for tensor, order, result in zip(gradients, orders, together, strict=True):
        [alone] = ConflictAware().integrate([tensor], order.unsqueeze(0))
        torch.testing.assert_close(result, alone)


@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1.0, 1e6, 1e15])
@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (400,)], ids=str)
def test_is_positively_homogeneous_at_every_scale(scale: float, shape: tuple[int, ...]) -> None:
    gradients = planted(5, shape, 0.5)
    orders = torch.rand(1, 5, 5).argsort(2)
    [plain] = ConflictAware().integrate([gradients], orders)
    [scaled] = ConflictAware().integrate([[scale * g for g in gradients]], orders)
    assert scaled.isfinite().all()
    torch.testing.assert_close(scaled / scale, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("small", [1e-15, 1e-6])
def test_gradients_of_very_different_scales_give_finite_results(small: float) -> None:
    gradients = planted(4, (6, 4, 3, 3), 0.5)
    gradients[1] = gradients[1] * small
    gradients[2] = gradients[2] / small
    orders = torch.rand(1, 4, 4).argsort(2)
    [result] = ConflictAware().integrate([gradients], orders)
    assert result.isfinite().all()


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (40,)], ids=str)
def test_without_a_conflict_it_is_the_plain_sum(shape: tuple[int, ...]) -> None:
    gradients = [torch.rand(shape) for _ in range(5)]  # all in one orthant
    [result] = ConflictAware()([gradients], torch.Generator().manual_seed(0))
    torch.testing.assert_close(result, sum(gradients))


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (40,)], ids=str)
def test_identical_gradients_add_up(shape: tuple[int, ...]) -> None:
    gradient = torch.randn(shape)
    [result] = ConflictAware()([[gradient] * 5], torch.Generator().manual_seed(0))
    torch.testing.assert_close(result, 5 * gradient)


def test_zero_gradients_conflict_with_none() -> None:
    generator = torch.Generator().manual_seed(0)
    zero, other = torch.zeros(6, 4, 3, 3), torch.randn(6, 4, 3, 3)
    [nothing] = ConflictAware()([[zero] * 5], generator)
    assert torch.equal(nothing, zero)
    [result] = ConflictAware(alpha=0)([[other, zero, zero]], generator)
    torch.testing.assert_close(result, other)


@pytest.mark.parametrize("conflict", [0.0, 0.5, 1.0])
def test_two_gradients_are_both_followed(conflict: float) -> None:
    """The result never points against either of two gradients, in any filter."""
    for _ in range(20):
        gradients = planted(2, (8, 4, 3, 3), conflict)
        [result] = ConflictAware()([gradients], torch.Generator().manual_seed(0))
        for gradient in gradients:
            inner = (result * gradient).flatten(1).sum(1)
            assert (inner >= -1e-5 * result.norm() * gradient.norm()).all()


@pytest.mark.parametrize("projection", ["sequential", "last"])
def test_permuting_the_networks_with_their_orders_changes_nothing(projection: str) -> None:
    gradients = planted(5, (6, 4, 3, 3), 0.5)
    orders = torch.rand(1, 5, 5).argsort(2)
    moved = torch.randperm(5)
    position = moved.argsort()  # gradient j is now at position[j]
    permuted = position[orders[:, moved]]
    [result] = ConflictAware(projection).integrate([gradients], orders)
    [other] = ConflictAware(projection).integrate([[gradients[j] for j in moved]], permuted)
    torch.testing.assert_close(result, other)


def test_the_inputs_stay_as_they_are() -> None:
    gradients = planted(5, (6, 4, 3, 3), 0.5)
    before = [gradient.clone() for gradient in gradients]
    ConflictAware()([gradients], torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(gradients, before, strict=True))


def test_half_precision_gradients_are_compared_in_float32() -> None:
    gradients = planted(5, (6, 4, 3, 3), 0.5)
    halves = [gradient.bfloat16() for gradient in gradients]
    orders = torch.rand(1, 5, 5).argsort(2)
    [result] = ConflictAware().integrate([halves], orders)
    [expected] = ConflictAware().integrate([[half.float() for half in halves]], orders)
    assert result.dtype == torch.bfloat16
    assert (result.float() - expected).norm() < 0.02 * expected.norm()


def test_orders_are_permutations_shared_where_rows_are_filters() -> None:
    orders = draw_orders((8, 1, 3), 5, torch.Generator().manual_seed(0))
    assert orders.shape == (3, 5, 5)
    assert torch.equal(orders.sort(2).values, torch.arange(5).expand(3, 5, 5))
    assert torch.equal(orders[0], orders[0, :1].expand(5, 5))
    assert torch.equal(orders[2], orders[2, :1].expand(5, 5))
    assert len({tuple(order) for order in orders[1].tolist()}) > 1


def test_the_same_generator_gives_the_same_result() -> None:
    gradients = planted(5, (40,), 0.5)
    results = [ConflictAware()([gradients], torch.Generator().manual_seed(3))[0] for _ in "ab"]
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"projection": "first"}, "`projection` should be 'sequential' or 'last'. Found 'first'"),
        ({"alpha": -1}, "`alpha` should be at least 0 and finite. Found -1"),
        ({"alpha": float("nan")}, "`alpha` should be at least 0 and finite. Found nan"),
        ({"alpha": float("inf")}, "`alpha` should be at least 0 and finite. Found inf"),
        ({"alpha": "a"}, "`alpha` should be at least 0 and finite. Found 'a'"),
        ({"alpha": None}, "`alpha` should be at least 0 and finite. Found None"),
        ({"epsilon": -1e-8}, "`epsilon` should be at least 0 and finite. Found -1e-08"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConflictAware(**arguments)
