"""A checkpoint that was trained at other capacities than the network: loaded, and said aloud."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import TinyEmbedder
from torch import Tensor, nn

import prunnet_pml as prunnet

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
NEW = r"was not trained at the capacities \[0\.2, 0\.4\] of TinyEmbedder: .* interpolated"
GONE = (
    r"was trained at the capacities \[0\.3\], which are not among the trained ones of "
    r"TinyEmbedder: .* stale"
)


def trained(capacities: tuple[float, ...]) -> nn.Module:
    """A network whose sets all differ."""
    model = prunnet.make_prunable(TinyEmbedder(), capacities)
    for index, capacity in enumerate((1.0, *capacities)):
        with prunnet.capacity(model, capacity):
            model(IMAGES * (index + 1))
    return model


def norms_at(model: nn.Module, capacity: float) -> list[Tensor]:
    norms = (model.bn1, model.bn2)
    with prunnet.capacity(model, capacity):
        return [getattr(n, name).clone() for n in norms for name in ("running_mean", "running_var")]


def without_metadata(state: dict[str, Any]) -> dict[str, Any]:
    """As a safetensors file gives it back."""
    return dict(state)


@pytest.mark.parametrize("keep", [lambda state: state, without_metadata])
@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_untrained_capacities_start_where_prune_would_read_them(
    keep: Callable, assign: bool, inside: bool
) -> None:
    """And own sets from then on: training at one moves that one alone."""
    checkpoint, model = trained((0.6, 0.3)), prunnet.make_prunable(TinyEmbedder(), (0.6, 0.4, 0.2))
    root, given = (nn.Sequential(m) if inside else m for m in (model, checkpoint))
    with pytest.warns(UserWarning, match=NEW) as warned:
        root.load_state_dict(keep(given.state_dict()), assign=assign)
    [warning] = warned
    assert warning.filename == __file__
    told = re.search(GONE, str(warning.message))
    assert bool(told) == (keep is not without_metadata)  # there 0.3 may have been calibrated
    with pytest.warns(UserWarning, match="without norm statistics"):
        plain = {c: prunnet.prune(checkpoint, c) for c in (0.6, 0.4, 0.3, 0.2)}
    for capacity, student in plain.items():
        expected = [student.bn1.running_mean, student.bn1.running_var]
        torch.testing.assert_close(norms_at(model, capacity)[:2], expected)
    before = {c: norms_at(model, c) for c in (1.0, 0.6, 0.4, 0.3, 0.2)}
    with prunnet.capacity(model, 0.2):
        model.train()(IMAGES)
    for capacity, values in before.items():
        moved = [not a.equal(b) for a, b in zip(values, norms_at(model, capacity), strict=True)]
        assert moved == [capacity == 0.2] * 4


def test_capacities_that_are_trained_no_more_are_named() -> None:
    checkpoint, model = trained((0.6, 0.3)), prunnet.make_prunable(TinyEmbedder(), (0.6,))
    with pytest.warns(UserWarning, match=GONE) as warned:
        model.load_state_dict(checkpoint.state_dict())
    assert len(warned) == 1
    torch.testing.assert_close(norms_at(model, 0.3), norms_at(checkpoint, 0.3))


def test_a_network_without_norm_statistics_is_warned_of_as_well() -> None:
    one, other = (
        prunnet.make_prunable(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), (capacity,))
        for capacity in (0.3, 0.5)
    )
    with pytest.warns(UserWarning, match=r"not trained at the capacities \[0\.5\] .* \[0\.3\]"):
        other.load_state_dict(one.state_dict())


def test_calibrated_capacities_are_no_news() -> None:
    """Warnings are errors here."""
    checkpoint = trained((0.6, 0.3))
    prunnet.calibrate(checkpoint, [IMAGES], [0.5])
    for keep in (lambda state: state, without_metadata):
        model = prunnet.make_prunable(TinyEmbedder(), (0.6, 0.3))
        model.load_state_dict(keep(checkpoint.state_dict()))
        assert torch.equal(norms_at(model, 0.5)[0], norms_at(checkpoint, 0.5)[0])


def test_loading_another_part_of_a_bigger_module_is_no_news() -> None:
    one, other = (nn.Sequential(trained((c,)), nn.BatchNorm1d(4)) for c in (0.6, 0.3))
    state = one.state_dict()
    for key in [key for key in state if not key.startswith("1.")]:
        del state[key]
    other.load_state_dict(state, strict=False)
    assert torch.equal(other[1].weight, one[1].weight)


@pytest.mark.filterwarnings("default::prunnet_pml.InterpolationWarning")
def test_parts_that_share_no_capacity_are_warned_of() -> None:
    parts = [prunnet.make_prunable(TinyEmbedder(), [c], space_id="one") for c in (0.2, 0.5)]
    for capacity in (0.2, 0.5):
        with pytest.warns(prunnet.InterpolationWarning, match=r"where those of 1 are known"):
            prunnet.prune(nn.ModuleList(parts), capacity)
