"""What granularity "channel" promises of every network on its list."""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Iterator

import networks
import pytest
import torch
from channel_networks import CAPACITIES, PROMISED, Case, assert_close, make_case

import prunnet_pml as prunnet
from prunnet_pml.class_exchange import Exchanged


def parameter_count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def check_every_capacity(case: Case) -> None:
    """Masked equals cut out, and less capacity is a smaller network.

    In float64: norms of hardly any variance make a ten-thousandth of what float32 rounds off.
    """
    case = case.in_float64()
    dense = case.embed(case.plain)
    assert torch.equal(case.embed(case.model), dense)
    sizes = [parameter_count(case.plain)]
    for capacity in sorted(CAPACITIES, reverse=True):
        masked = case.embed(case.model, capacity)
        pruned = prunnet.prune(case.model, capacity)
        assert_close(case.embed(pruned), masked, 1e-12)
        assert (masked - dense).abs().max() > 1e-3 * dense.abs().max()
        sizes.append(parameter_count(pruned))
    assert sizes == sorted(set(sizes), reverse=True), "smaller at every capacity"


@pytest.fixture(scope="module", params=[*networks.TINY, "by hand"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    yield make_case(request.param)
    gc.collect()


def test_masked_equals_pruned(case: Case) -> None:
    check_every_capacity(case)


@pytest.mark.parametrize("name", PROMISED)
def test_masked_equals_pruned_of_every_network_promised(name: str) -> None:
    check_every_capacity(make_case(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_masked_equals_pruned_at_full_size(name: str) -> None:
    check_every_capacity(make_case(name, full_size=True))


def test_the_pruned_network_is_plain(case: Case) -> None:
    before = networks.snapshot(case.model)
    pruned = prunnet.prune(case.model, 0.5)
    parts, plain_parts = dict(pruned.named_modules()), dict(case.plain.named_modules())
    assert parts.keys() == plain_parts.keys()
    for name, part in parts.items():
        assert type(part) is type(plain_parts[name]), name
        assert not isinstance(part, Exchanged)
        assert vars(part).keys() == vars(plain_parts[name]).keys(), name
    assert pruned.state_dict().keys() == case.plain.state_dict().keys()
    networks.assert_equal_states(case.model, before)


def test_capacities_nest(case: Case) -> None:
    smaller: list[set[int]] = []
    for capacity in (0.05, *CAPACITIES, 1.0):
        groups = prunnet.kept_units(case.model, capacity)["groups"]
        kept = [set(group["kept"]) for group in groups]
        assert all(kept)
        assert all(less <= more for less, more in zip(smaller, kept, strict=bool(smaller)))
        smaller = kept
    assert [len(units) for units in smaller] == [group["units"] for group in groups]


def test_a_pruned_network_comes_back_from_state_dict_and_json(case: Case) -> None:
    pruned = prunnet.prune(case.model, 0.35)
    stored = json.dumps(prunnet.kept_units(case.model, 0.35))
    again = prunnet.apply_kept_units(copy.deepcopy(case.plain), json.loads(stored))
    again.load_state_dict(pruned.state_dict())
    assert torch.equal(case.embed(again), case.embed(pruned))
    for name, part in again.named_modules():
        assert repr(part) == repr(pruned.get_submodule(name))


def test_residual_stream_and_embedding_stay_whole(case: Case) -> None:
    pruned = prunnet.prune(case.model, 0.2)
    assert case.embed(pruned).shape == case.embed(case.plain).shape
    if case.name == "test_vit":
        assert pruned.forward_features(case.images).shape[-1] == case.plain.embed_dim


def test_pruned_units_count_for_nothing(case: Case) -> None:
    """Scrambling what reads a pruned unit must not show."""
    model = copy.deepcopy(case.model)
    expected = case.embed(model, 0.35)
    with torch.no_grad(), prunnet.capacity(model, 0.35):
        for layer in prunnet.scored_layers(model).values():
            layer._parameters["weight"][layer.weight == 0] = 7.0
    assert torch.equal(case.embed(model, 0.35), expected)
