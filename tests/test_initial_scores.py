"""What scores training starts from."""

from __future__ import annotations

import pytest
import torch

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
