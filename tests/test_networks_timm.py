"""What the library promises of every network on its list."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import networks
import pytest
import torch
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.class_exchange import Exchanged

UNTRAINED = 0.5


@dataclass
class Case:
    """A network before and after, and images for it."""

    name: str
    plain: nn.Module
    model: nn.Module
    images: Tensor

    def embed(self, model: nn.Module, capacity: float | None = None) -> Tensor:
        with torch.no_grad():
            if capacity is None:
                return model(self.images)
            with prunnet.capacity(model, capacity):
                return model(self.images)


def make_case(name: str, full_size: bool = False) -> Case:
    torch.manual_seed(0)
    plain = networks.build(name, full_size)
    images = networks.images(name, full_size)
    model = prunnet.make_prunable(copy.deepcopy(plain))
    prunnet.calibrate(model, [images], prunnet.trained_capacities(model))
    return Case(name, plain, model, images)


@pytest.fixture(scope="module", params=networks.SPECS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    yield make_case(request.param)
    gc.collect()


def assert_close(one: Tensor, other: Tensor, tolerance: float = 1e-6) -> None:
    """Equal to the tolerance in units of the largest value."""
    assert one.shape == other.shape
    assert other.isfinite().all()
    assert (one - other).abs().max() <= tolerance * other.abs().max()


def assert_differ(one: Tensor, other: Tensor) -> None:
    assert (one - other).abs().max() > 1e-2 * other.abs().max()


def test_the_dense_output_is_unchanged_to_the_bit(case: Case) -> None:
    assert torch.equal(case.embed(case.model), case.embed(case.plain))
    assert torch.equal(case.model(case.images), case.plain(case.images)), "with gradients"


def test_the_state_dict_has_plain_keys_plus_scores(case: Case) -> None:
    state = case.model.state_dict()
    assert set(state) == networks.expected_keys(case.plain)
    for key, value in case.plain.state_dict().items():
        assert torch.equal(state[key], value), key


def test_a_plain_checkpoint_lacks_only_the_scores(case: Case) -> None:
    model = copy.deepcopy(case.model)
    checkpoint = {key: torch.ones_like(v) for key, v in case.plain.state_dict().items()}
    with pytest.warns(UserWarning, match="Call reset_scores next"):
        missing, unexpected = model.load_state_dict(checkpoint, strict=False)
    assert unexpected == []
    assert set(missing) == {key for key in model.state_dict() if key.endswith(".scores")}
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in checkpoint.items())
    for name in networks.batch_norms(case.plain):
        assert (state[f"{name}.capacity_running_mean"] == 1).all()


def by_pickle(model: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(model, stream, pickle_protocol=pickle.HIGHEST_PROTOCOL)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, by_pickle])
def test_a_copy_is_prunable_and_independent(case: Case, duplicate: object) -> None:
    twin = duplicate(case.model)
    expected = case.embed(case.model, 0.4)
    assert torch.equal(case.embed(twin, 0.4), expected)
    assert type(twin) is type(case.model)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(case.embed(case.model, 0.4), expected)


@pytest.mark.parametrize("capacity", [0.2, UNTRAINED, 1.0])
def test_the_pruned_network_is_plain_and_equals_the_masked_one(case: Case, capacity: float) -> None:
    before = networks.snapshot(case.model)
    masked = case.embed(case.model, capacity)

    pruned = prunnet.prune(case.model, capacity)

    assert_close(case.embed(pruned), masked)
    if capacity < 1:
        assert_differ(masked, case.embed(case.plain))
    parts, plain_parts = dict(pruned.named_modules()), dict(case.plain.named_modules())
    assert parts.keys() == plain_parts.keys()
    for name, part in parts.items():
        assert type(part) is type(plain_parts[name]), name
        assert not isinstance(part, Exchanged)
        assert vars(part).keys() == vars(plain_parts[name]).keys(), name
        assert not part._load_state_dict_pre_hooks
    twin = copy.deepcopy(case.plain)
    twin.load_state_dict(pruned.state_dict())  # a plain network takes its checkpoint
    assert_close(case.embed(twin), masked)
    networks.assert_equal_states(case.model, before)
    assert prunnet.get_capacity(case.model) == 1


def test_what_is_pruned_is_zero_and_capacities_nest(case: Case) -> None:
    smaller = dict.fromkeys(prunnet.scored_layers(case.model), False)
    for capacity in (0.1, 0.2, UNTRAINED, 0.8, 1.0):
        with prunnet.capacity(case.model, capacity):
            for name, layer in prunnet.scored_layers(case.model).items():
                kept = layer.weight.detach() != 0
                n = kept.numel()
                assert abs(int(kept.sum()) - capacity * n) <= 2 + 1e-5 * n, name
                assert (kept | smaller[name]).equal(kept), name
                smaller[name] = kept


def test_every_way_in_sees_the_same_mask(case: Case) -> None:
    """``forward_features``, a hook, and a trunk inside a bigger module."""
    pruned = prunnet.prune(case.model, UNTRAINED)
    seen = {}
    names = list(prunnet.scored_layers(case.model))
    watched = names[len(names) // 2]
    for key, model in (("masked", case.model), ("pruned", pruned)):
        layer = model.get_submodule(watched)
        handle = layer.register_forward_hook(
            lambda layer, _, output, key=key: seen.update({key: layer.weight * output.mean()})
        )
        bigger = nn.Sequential(model, nn.Flatten(), nn.Linear(networks.EMBEDDING, 3))
        torch.nn.init.ones_(bigger[2].weight)
        torch.nn.init.zeros_(bigger[2].bias)
        if model is case.model:
            prunnet.set_capacity(bigger, UNTRAINED)
        with torch.no_grad():
            seen[f"{key} bigger"] = bigger(case.images)
            if hasattr(model, "forward_features"):
                seen[f"{key} features"] = model.forward_features(case.images)
        handle.remove()
    prunnet.set_capacity(case.model, 1.0)
    for key in [key for key in seen if key.startswith("masked")]:
        assert_close(seen[key.replace("masked", "pruned")], seen[key])


def test_every_scored_weight_is_masked_where_it_is_used(case: Case) -> None:
    """Scrambling what a capacity prunes must not show at that capacity."""
    model = copy.deepcopy(case.model)
    expected = case.embed(model, 0.4)
    with torch.no_grad(), prunnet.capacity(model, 0.4):
        for layer in prunnet.scored_layers(model).values():
            layer._parameters["weight"][layer.weight == 0] = 7.0
    assert torch.equal(case.embed(model, 0.4), expected)


def check_compiled_and_exported(case: Case) -> None:
    pruned = prunnet.prune(case.model, 0.4)
    expected = case.embed(pruned)
    compiled = torch.compile(pruned, fullgraph=True, backend="aot_eager")
    assert_close(case.embed(compiled), expected, 1e-5)
    exported = torch.export.export(pruned, (case.images,))
    assert_close(case.embed(exported.module()), expected, 1e-5)
    torch.compiler.reset()


@pytest.mark.parametrize("name", [*networks.TINY, "hand-written"])
def test_the_pruned_network_compiles_and_exports(name: str) -> None:
    check_compiled_and_exported(make_case(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.SPECS)
def test_the_pruned_network_compiles_and_exports_at_full_size(name: str) -> None:
    check_compiled_and_exported(make_case(name, full_size=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.SPECS)
def test_the_promises_hold_at_full_size(name: str) -> None:
    case = make_case(name, full_size=True)
    test_the_dense_output_is_unchanged_to_the_bit(case)
    test_the_state_dict_has_plain_keys_plus_scores(case)
    for capacity in (0.2, UNTRAINED):
        test_the_pruned_network_is_plain_and_equals_the_masked_one(case, capacity)
