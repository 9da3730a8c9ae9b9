"""What a capacity keeps of one tensor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_files import golden
from torch import Tensor

from prunnet_pml.masks import (
    check_capacities,
    check_capacity,
    mask,
    threshold_rank,
    thresholds,
)

CAPACITIES = (0.05, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
RECORDED = [
    *("conv3x3", "conv1x1", "stem7x7", "depthwise", "linear", "bias"),
    *("tiny5", "n1", "ties", "allsame"),
]


def sorted_oracle(scores: Tensor, capacity: float) -> Tensor:
    """The rule, spelled out: drop everything below the k-th smallest magnitude."""
    magnitudes = sorted(scores.abs().flatten().tolist())
    pruned = round((1 - capacity) * 100) / 100
    threshold = magnitudes[round(pruned * (len(magnitudes) - 1))]
    kept = [abs(value) >= threshold for value in scores.flatten().tolist()]
    return torch.tensor(kept).view(scores.shape)


@pytest.mark.parametrize("name", RECORDED)
def test_masks_and_ranks_equal_the_recorded_ones(name: str) -> None:
    arrays = golden("masks")
    scores = torch.from_numpy(arrays[f"{name}/scores"])
    for sparsity in arrays["sparsities"].tolist():
        capacity = 1 - sparsity
        [threshold] = thresholds(scores, [capacity])
        assert threshold_rank(scores.numel(), capacity) == arrays[f"{name}/k_{sparsity}"]
        np.testing.assert_array_equal(
            mask(scores, threshold).numpy(), arrays[f"{name}/mask_{sparsity}"]
        )


@pytest.mark.parametrize("shape", [(1,), (2,), (7, 5), (16, 8, 3, 3), (300, 120), (64, 64, 3, 3)])
@pytest.mark.parametrize("kind", ["normal", "tied", "zero", "tiny", "one bucket"])
def test_masks_equal_a_sorted_list(shape: tuple[int, ...], kind: str) -> None:
    scores = torch.randn(shape)
    scores = {
        "normal": scores,
        "tied": scores.round(),
        "zero": scores * 0,
        "tiny": scores * 1e-40,  # denormal
        "one bucket": 1 + scores * 1e-6,  # all share their upper 16 bits
    }[kind]
    found = thresholds(scores, CAPACITIES)
    for capacity, threshold in zip(CAPACITIES, found, strict=True):
        assert torch.equal(mask(scores, threshold).bool(), sorted_oracle(scores, capacity))


def test_histogram_and_sort_find_the_same_thresholds() -> None:
    scores = torch.randn(50_000)
    by_sort = thresholds(scores.double(), CAPACITIES)  # float64 takes the way by sort
    by_histogram = thresholds(scores, CAPACITIES)
    assert [t.item() for t in by_histogram] == [t.item() for t in by_sort]


def test_capacities_nest_and_keep_their_share() -> None:
    scores = torch.randn(64, 32, 3, 3)
    smaller = torch.zeros_like(scores, dtype=torch.bool)
    for capacity, threshold in zip(CAPACITIES, thresholds(scores, CAPACITIES), strict=True):
        kept = mask(scores, threshold).bool()
        assert (kept | smaller).equal(kept), "a larger capacity lost what a smaller one keeps"
        assert kept.float().mean().item() == pytest.approx(capacity, abs=1e-3)
        smaller = kept


def test_the_sign_of_a_score_does_not_rank() -> None:
    scores = torch.randn(1000)
    signs = torch.randn(1000).sign()
    for one, other in zip(
        thresholds(scores, CAPACITIES), thresholds(scores * signs, CAPACITIES), strict=True
    ):
        assert one == other


@pytest.mark.parametrize("capacity", [0, -1, 1.2, float("nan"), float("inf"), "half", None, True])
def test_a_capacity_out_of_range_is_refused(capacity: object) -> None:
    with pytest.raises(ValueError, match=r"`capacity` should be in \(0, 1\]. Found"):
        check_capacity(capacity)


@pytest.mark.parametrize(
    ("capacities", "message"),
    [
        ((), "at least one capacity"),
        ((0.2, 0.2), "distinct"),
        ((0.2, 1.0), "below 1"),
        ((0.2, 0), r"in \(0, 1\]"),
        ("half", "sequence"),
        (0.5, "sequence"),
    ],
)
def test_a_list_of_capacities_is_checked(capacities: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"`capacities` should .*{message}"):
        check_capacities(capacities)


def test_capacities_come_largest_first() -> None:
    assert check_capacities([0.2, np.float32(0.5), 0.8]) == (0.8, 0.5, 0.2)
