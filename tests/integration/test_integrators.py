"""The other integrators, and any function of a matrix in their place."""

from __future__ import annotations

import pytest
import torch
import torchjd.aggregation as torchjd
from torch import Tensor

from prunnet_pml.integration import (
    Aggregator,
    ConflictAware,
    Integrator,
    Mean,
    PCGrad,
    Sum,
    as_integrator,
)

SHAPES = [(6, 4, 3, 3), (9, 12), (11,)]


@pytest.fixture
def gradients() -> list[list[Tensor]]:
    return [[torch.randn(shape) for _ in range(5)] for shape in SHAPES]


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def matrix_of(gradients: list[list[Tensor]]) -> Tensor:
    return torch.stack([flat([tensor[i] for tensor in gradients]) for i in range(5)])


def integrate(integrator: Integrator, gradients: list[list[Tensor]]) -> Tensor:
    results = integrator(gradients, torch.Generator().manual_seed(0))
    assert [result.shape for result in results] == [tensor[0].shape for tensor in gradients]
    return flat(results)


def test_sum_and_mean(gradients: list[list[Tensor]]) -> None:
    matrix = matrix_of(gradients)
    torch.testing.assert_close(integrate(Sum(), gradients), matrix.sum(0))
    torch.testing.assert_close(integrate(Mean(), gradients), matrix.mean(0))
    assert torch.equal(matrix_of(gradients), matrix), "the inputs changed"


def test_pcgrad_equals_its_algorithm(gradients: list[list[Tensor]]) -> None:
    """Algorithm 1 in a loop, over all orders: ours is one of them."""
    matrix = matrix_of(gradients)[:3]
    gradients = [tensor[:3] for tensor in gradients]

    def freed(i: int, order: tuple[int, ...]) -> Tensor:
        p = matrix[i].clone()
        for j in order:
            if torch.dot(p, matrix[j]) < 0:
                p -= torch.dot(p, matrix[j]) / torch.dot(matrix[j], matrix[j]) * matrix[j]
        return p

    found = integrate(PCGrad(), gradients)
    others = [(1, 2), (0, 2), (0, 1)]
    candidates = [[freed(i, others[i]), freed(i, others[i][::-1])] for i in range(3)]
    distances = [
        (a + b + c - found).norm()
        for a in candidates[0]
        for b in candidates[1]
        for c in candidates[2]
    ]
    assert min(distances) < 1e-4 * found.norm()


@pytest.mark.parametrize("integrator", [ConflictAware(), PCGrad(), Sum(), Mean()], ids=repr)
def test_integrators_are_homogeneous(integrator: Integrator, gradients: list[list[Tensor]]) -> None:
    scaled = [[1e4 * gradient for gradient in tensor] for tensor in gradients]
    torch.testing.assert_close(
        integrate(integrator, scaled), 1e4 * integrate(integrator, gradients), rtol=1e-4, atol=0.1
    )


def test_a_lambda_integrates(gradients: list[list[Tensor]]) -> None:
    found = integrate(as_integrator(lambda matrix: matrix[0] - matrix[-1]), gradients)
    matrix = matrix_of(gradients)
    assert torch.equal(found, matrix[0] - matrix[-1])


@pytest.mark.parametrize(
    "aggregator",
    [
        torchjd.Sum(),
        torchjd.Mean(),
        torchjd.UPGrad(),
        torchjd.MGDA(),
        torchjd.AlignedMTL(),
        torchjd.IMTLG(),
        torchjd.PCGrad(),
        torchjd.DualProj(),
    ],
    ids=str,
)
def test_torchjd_aggregators_integrate(
    aggregator: torchjd.Aggregator, gradients: list[list[Tensor]]
) -> None:
    state = torch.random.get_rng_state()
    found = integrate(as_integrator(aggregator), gradients)
    torch.random.set_rng_state(state)
    torch.testing.assert_close(found, aggregator(matrix_of(gradients)))


def test_what_is_not_a_function_is_refused() -> None:
    with pytest.raises(ValueError, match="`integration` should be an Integrator or a function"):
        as_integrator("sum")


@pytest.mark.parametrize("function", [lambda matrix: matrix, lambda _: 3.0])
def test_a_function_of_another_shape_is_refused(
    function: object, gradients: list[list[Tensor]]
) -> None:
    with pytest.raises(ValueError, match=r"`integration` should map \[5, n\] to \[n\], n = 335"):
        integrate(Aggregator(function), gradients)


def test_an_integrator_prints_its_settings() -> None:
    expected = "ConflictAware(projection='last', alpha=1.0, per_filter=True, epsilon=0.0)"
    assert repr(ConflictAware("last", alpha=1.0)) == expected
    assert repr(Sum()) == "Sum()"


@pytest.mark.parametrize("integrator", [ConflictAware(), PCGrad(), Sum()], ids=repr)
def test_memory_layouts_change_nothing_but_the_layout(integrator: Integrator) -> None:
    """Training in ``channels_last`` must not lay out gradients anew at every step."""
    plain = [list(torch.randn(5, 8, 4, 3, 3)), list(torch.randn(5, 8, 6))]
    other = [
        [gradient.to(memory_format=torch.channels_last) for gradient in plain[0]],
        [gradient.T.contiguous().T for gradient in plain[1]],
    ]
    expected = integrator(plain, torch.Generator().manual_seed(0))
    found = integrator(other, torch.Generator().manual_seed(0))
    for result, value in zip(found, expected, strict=True):
        torch.testing.assert_close(result, value)
    assert found[0].is_contiguous(memory_format=torch.channels_last)
