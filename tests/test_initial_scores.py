"""What scores training starts from."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.initial_scores import magnitude_scores, uniform_scores


def test_uniform_scores_stay_inside_their_bound() -> None:
    scores = uniform_scores(torch.empty(64, 16, 3, 3))
    assert scores.abs().max() <= 1 / 12
    assert scores.abs().max() > 0.98 / 12
    assert scores.mean().abs() < 0.003


def test_magnitude_scores_rank_as_the_weights_do() -> None:
    weight = torch.randn(32, 8, 3, 3) * 1e-3
    scores = magnitude_scores(weight)
    assert torch.equal(scores.flatten().argsort(), weight.abs().flatten().argsort())
    assert scores.square().mean().item() == pytest.approx(0.01, rel=1e-5)


def test_magnitude_scores_of_zero_weights_are_finite() -> None:
    assert torch.equal(magnitude_scores(torch.zeros(4, 3)), torch.full((4, 3), 0.1))


@pytest.mark.parametrize("scale", [1e-4, 300.0])
@pytest.mark.parametrize("granularity", ["weight", "channel"])
def test_magnitudes_rank_in_half_precision_too(scale: float, granularity: str) -> None:
    """Their squares would be 0, or infinite."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale * 8)
    images = {"example_input": torch.zeros(2, 64)} if granularity == "channel" else {}
    prunnet.make_prunable(model, granularity=granularity, filter_fn=lambda *_: True, **images)
    half = copy.deepcopy(model).half()
    prunnet.reset_scores(half)
    for scores, expected in zip(
        prunnet.score_parameters(half), prunnet.score_parameters(model), strict=True
    ):
        assert scores.dtype == torch.float16
        torch.testing.assert_close(scores.float(), expected, rtol=1e-2, atol=1e-3)
