"""Masks, values and scores survive being bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prunnet_pml.hub.coding import (
    join_values,
    pack_mask,
    quantise,
    restore,
    split_values,
    unpack_mask,
)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
def test_masks_of_any_length(size: int) -> None:
    mask = np.random.default_rng(size).random(size) < 0.3
    packed = pack_mask(mask)
    assert [int(packed[i // 8]) >> (i % 8) & 1 for i in range(size)] == mask.tolist()
    np.testing.assert_array_equal(unpack_mask(packed, size), mask)
    with pytest.raises(ValueError, match="should have"):
        unpack_mask(np.append(packed, packed[:1]) if size else np.zeros(1, np.uint8), size)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [0, 1, 5, 5000])
def test_values_of_any_bits(dtype: torch.dtype, size: int) -> None:
    """Deflated or not: random bits don't deflate, numbers of one scale do; -0.0 stays -0.0."""
    bits = torch.randint(0, 256, (size * dtype.itemsize,), dtype=torch.uint8)
    for raw in (bits, (-0.0 * torch.randn(size)).to(dtype).view(torch.uint8)):
        values = raw.view(dtype)
        found = join_values(*split_values(values), size, dtype)
        assert torch.equal(found.view(torch.uint8), raw)


@pytest.mark.parametrize("size", [257, 10_000, 17_000_001])  # float32 counts to 16,777,216
def test_a_score_of_a_byte_is_at_most_as_large_and_its_order_stays(size: int) -> None:
    scores = torch.randn(size)
    parts = quantise(scores)
    found = restore(parts["codes"], parts["levels"])
    assert torch.equal(found.sign(), scores.sign())
    magnitudes, restored = scores.abs(), found.abs()
    assert bool((restored <= magnitudes).all())
    assert restored.min() == magnitudes.min()
    assert restored.max() == magnitudes.max()
    order = magnitudes[:5000].argsort()
    assert bool((restored[:5000][order].diff() >= 0).all())


def test_few_scores_stay_exact_and_equal_ones_are_one_level() -> None:
    few = torch.randn(256)
    assert torch.equal(quantise(few)["scores"], few)
    parts = quantise(torch.full((300,), -0.5))
    assert torch.equal(restore(parts["codes"], parts["levels"]), torch.full((300,), -0.5))
