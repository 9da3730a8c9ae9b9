"""A budget of milliseconds: what ran within it, on so many threads, for such a batch."""

from __future__ import annotations

import pytest
import torch
from channel_networks import ByHand
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.budgets import latency

SIZE = (3, 32, 32)


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(
        ByHand(), granularity="channel", example_input=torch.randn(1, *SIZE)
    )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], int]]:
    """Shapes and threads of all forwards, which take a microsecond for every parameter."""
    found: list[tuple[tuple[int, ...], int]] = []

    def seconds(network: nn.Module, images: Tensor) -> float:
        with torch.no_grad():
            network(images)
        found.append((tuple(images.shape), torch.get_num_threads()))
        slow = len(found) % 4 == 0  # a busy machine
        return (100 if slow else 1) * 1e-6 * sum(p.numel() for p in network.parameters())

    monkeypatch.setattr(latency, "_seconds", seconds)
    return found


def test_the_capacity_is_the_largest_within_to_a_hundredth(
    model: nn.Module, runs: list[tuple[tuple[int, ...], int]]
) -> None:
    for parameters in (6000, 8000):
        exact = prunnet.capacity_for(model, params=parameters)
        found = prunnet.capacity_for(model, latency_ms=parameters / 1000, input_size=SIZE)
        assert exact - 0.01 <= found <= exact
    probes = len(runs) / (latency._WARM_UP + latency._TIMED)
    assert probes <= 2 * 9


def test_all_limits_hold(model: nn.Module, runs: list[object]) -> None:
    both = {"input_size": SIZE, "latency_ms": 7.0}
    assert prunnet.capacity_for(model, params=6000, **both) == prunnet.capacity_for(
        model, params=6000
    )
    by_time = prunnet.capacity_for(model, params=9000, **both)
    assert prunnet.capacity_for(model, params=6000) < by_time
    assert by_time <= prunnet.capacity_for(model, params=7000)


def test_batch_and_threads_are_those_asked_for(
    model: nn.Module, runs: list[tuple[tuple[int, ...], int]]
) -> None:
    before = torch.get_num_threads()
    prunnet.capacity_for(model, latency_ms=1e6, input_size=SIZE, batch_size=3, threads=before + 1)
    assert set(runs) == {((3, *SIZE), before + 1)}
    assert torch.get_num_threads() == before


def test_what_no_subnetwork_reaches_says_the_minimum(model: nn.Module, runs: list[object]) -> None:
    with pytest.raises(ValueError, match=r"`latency_ms` should be at least \d.*Found 0.001"):
        prunnet.capacity_for(model, latency_ms=0.001, input_size=SIZE)


def test_zeros_take_as_long_as_weights() -> None:
    model = prunnet.make_prunable(ByHand())
    for size in (SIZE, None):
        with pytest.raises(ValueError, match=r"`latency_ms` should be left out with .*'weight'"):
            prunnet.capacity_for(model, latency_ms=5, input_size=size)


def test_real_time_passes(model: nn.Module) -> None:
    images = torch.randn(2, *SIZE)
    found = latency.measure_latency(model.eval(), images, threads=1)
    assert 0 < found < 10_000
