"""The alignment: by hand, and what it sees where all embeddings point one way."""

from __future__ import annotations

import pytest
import torch

from prunnet_pml.losses.alignment import misalignment


def test_by_hand() -> None:
    """Dense at 0 and 90 degrees, the centre between them; a subnetwork at 90 and 0, or as dense."""
    dense = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert misalignment(5 * dense, dense).item() == pytest.approx(0, abs=1e-6)
    assert misalignment(dense.flip(0), dense).item() == pytest.approx(2)


def test_a_common_direction_hides_nothing() -> None:
    """What a plain cosine hardly sees: far along one direction, neighbours exchanged."""
    few = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    far = few + torch.tensor([100.0, 0, 0, 0])
    exchanged = far.flip(0)
    assert (1 - torch.cosine_similarity(exchanged, far)).mean() < 0.01
    assert misalignment(exchanged, far) > 0.5


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]]], ids=["one", "equal"])
def test_where_no_image_differs_nothing_is_aligned(rows: list[list[float]]) -> None:
    embeddings = torch.tensor([[0.3, -1.0]] * len(rows), requires_grad=True)
    misalignment(embeddings, torch.tensor(rows)).backward()
    assert embeddings.grad is not None
    assert not embeddings.grad.any()
