"""Norm statistics: one set per capacity, interpolated or calibrated where none was trained."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import timm.utils
import torch
from networks import SETS, TinyEmbedder, assert_equal_states, batch_norms, snapshot
from torch import Tensor, nn

import prunnet_pml as prunnet

BATCHES = 5


def loader(seed: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(6, 1, 8, 8, generator=generator) for _ in range(BATCHES)]


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(TinyEmbedder())


@pytest.fixture
def trained(model: nn.Module) -> nn.Module:
    """A network whose sets all differ."""
    for seed, capacity in enumerate((1.0, *prunnet.trained_capacities(model))):
        with prunnet.capacity(model, capacity):
            for images in loader(seed):
                model(images)
    return model


def set_of(norm: nn.Module, capacity: float) -> dict[str, Tensor]:
    """A set straight from the state dict, as whoever opens a checkpoint would find it."""
    state = norm.state_dict()
    if capacity == 1:
        return {name: state[name].clone() for name in SETS}
    row = [units / 1e7 for units in state["norm_capacities"].tolist()].index(capacity)
    return {name: state[f"capacity_{name}"][row].clone() for name in SETS}


def all_sets(model: nn.Module) -> dict[tuple[str, float], dict[str, Tensor]]:
    return {
        (name, capacity): set_of(norm, capacity)
        for name, norm in batch_norms(model).items()
        for capacity in (1.0, *norm.set_capacities)
    }


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in SETS)


def test_every_set_starts_as_the_dense_one() -> None:
    plain = TinyEmbedder()
    for images in loader():
        plain(images)
    model = prunnet.make_prunable(plain)
    assert len(all_sets(model)) == 2 * 5
    for (name, _), found in all_sets(model).items():
        assert equal(found, set_of(batch_norms(model)[name], 1.0))
    assert model.bn1.running_mean.abs().min() > 0


@pytest.mark.parametrize("capacity", [1.0, 0.8, 0.2])
def test_a_forward_updates_the_set_of_its_capacity_only(model: nn.Module, capacity: float) -> None:
    """And as a plain batch norm would have updated its only one."""
    before = all_sets(model)
    [images] = loader()[:1]
    seen = []
    model.conv1.register_forward_hook(lambda _, __, output: seen.append(output))
    with prunnet.capacity(model, capacity):
        model(images)
    for (name, owner), found in all_sets(model).items():
        assert equal(found, before[name, owner]) == (owner != capacity)
    plain = nn.BatchNorm2d(6)
    plain(seen[0])
    assert equal(set_of(model.bn1, capacity), plain.state_dict())


def test_a_forward_in_eval_mode_reads_its_own_set(trained: nn.Module) -> None:
    trained.eval()
    inputs = torch.randn(3, 6, 6, 6)
    for capacity in (1.0, 0.6, 0.2):
        own = set_of(trained.bn1, capacity)
        with prunnet.capacity(trained, capacity):
            found = trained.bn1(inputs)
        plain = nn.BatchNorm2d(6).eval()
        plain.load_state_dict({**plain.state_dict(), **own})
        assert torch.equal(found, plain(inputs))


def test_affine_parameters_are_shared(model: nn.Module) -> None:
    assert [name for name, _ in model.bn1.named_parameters()] == ["weight", "bias"]


@pytest.mark.parametrize(
    ("capacity", "lower", "upper"), [(0.5, 0.4, 0.6), (0.25, 0.2, 0.4), (0.9, 0.8, 1.0)]
)
def test_an_untrained_capacity_interpolates_its_neighbours(
    trained: nn.Module, capacity: float, lower: float, upper: float
) -> None:
    share = (capacity - lower) / (upper - lower)
    with prunnet.capacity(trained, capacity):
        for norm in batch_norms(trained).values():
            below, above = set_of(norm, lower), set_of(norm, upper)
            for name in ("running_mean", "running_var"):
                expected = (1 - share) * below[name] + share * above[name]
                torch.testing.assert_close(getattr(norm, name), expected)
                assert not torch.equal(below[name], above[name])


def test_below_the_smallest_capacity_its_set_serves(trained: nn.Module) -> None:
    with prunnet.capacity(trained, 0.05):
        assert torch.equal(trained.bn1.running_mean, set_of(trained.bn1, 0.2)["running_mean"])


@pytest.mark.parametrize("momentum", [0.1, None])
def test_training_at_an_untrained_capacity_moves_no_set(
    model: nn.Module, momentum: float | None
) -> None:
    """Also where no set has seen a batch yet, by which a norm without momentum divides."""
    for norm in batch_norms(model).values():
        norm.momentum = momentum
    before = snapshot(model)
    with prunnet.capacity(model, 0.5):
        model(loader()[0])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("mode", [True, False])
def test_a_network_pruned_before_it_saw_a_batch_has_counted_none(
    model: nn.Module, mode: bool
) -> None:
    for capacity in (0.5, 0.4):
        assert prunnet.prune(model.train(mode), capacity).bn1.num_batches_tracked == 0


def cumulative_oracle(model: nn.Module, capacity: float, batches: list[Tensor]) -> dict[str, dict]:
    """Norm by norm: mean and unbiased variance of every batch, averaged by their images."""
    model = copy.deepcopy(model).eval()
    norms = batch_norms(model)
    prunnet.set_capacity(model, capacity)
    found: dict[str, list] = {name: [] for name in norms}

    def look(name: str) -> Callable:
        def hook(_: nn.Module, inputs: tuple[Tensor], __: Tensor) -> Tensor:
            [x] = inputs
            columns = x.transpose(0, 1).flatten(1)
            found[name].append((columns.mean(1), columns.var(1)))
            norm = norms[name]
            return nn.functional.batch_norm(x, None, None, norm.weight, norm.bias, training=True)

        return hook

    for name, norm in norms.items():
        norm.register_forward_hook(look(name))
    with torch.no_grad():
        for images in batches:
            model(images)
    shares = [len(images) / sum(map(len, batches)) for images in batches]
    return {
        name: {
            "running_mean": sum(s * mean for s, (mean, _) in zip(shares, moments, strict=True)),
            "running_var": sum(s * var for s, (_, var) in zip(shares, moments, strict=True)),
            "num_batches_tracked": torch.tensor(len(batches)),
        }
        for name, moments in found.items()
    }


@pytest.mark.parametrize("capacity", [1.0, 0.4, 0.3])
def test_calibrate_takes_the_average_over_the_loader(trained: nn.Module, capacity: float) -> None:
    """Whose last batch is small, as loaders leave it."""
    batches = [*loader(7), loader(8)[0][:2]]
    expected = cumulative_oracle(trained, capacity, batches)
    prunnet.calibrate(trained, batches, [capacity])
    for name, norm in batch_norms(trained).items():
        found = set_of(norm, capacity)
        for key in SETS:
            torch.testing.assert_close(found[key], expected[name][key])


def test_calibrate_does_whatever_has_statistics_by_default(trained: nn.Module) -> None:
    """The dense network, trained capacities, and untrained ones of an earlier call."""
    prunnet.calibrate(trained, loader(6), [0.3])
    before = all_sets(trained)
    prunnet.calibrate(trained, loader(7))
    after = all_sets(trained)
    assert after.keys() == before.keys()
    assert {capacity for _, capacity in after} == {1.0, 0.8, 0.6, 0.4, 0.3, 0.2}
    for (name, capacity), found in after.items():
        assert not equal(found, before[name, capacity])
        assert found["num_batches_tracked"] == BATCHES


class WithDropout(TinyEmbedder):
    """Draws random numbers in training mode, and has a mode and a momentum of its own inside."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.bn2.momentum = 0.3
        self.bn2.eval()

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.dropout(images))


def test_calibrate_touches_nothing_else() -> None:
    model = prunnet.make_prunable(WithDropout())
    prunnet.set_capacity(model, 0.8)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before, sets = snapshot(model), all_sets(model)
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()

    prunnet.calibrate(model, loader(), [0.4])

    assert torch.equal(torch.get_rng_state(), random_state)
    assert [module.training for module in model.modules()] == modes
    assert (model.bn1.momentum, model.bn2.momentum) == (0.1, 0.3)
    assert prunnet.get_capacity(model) == 0.8
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert torch.equal(parameter.grad, torch.ones_like(parameter))
        assert parameter.requires_grad
    for (name, capacity), found in all_sets(model).items():
        assert equal(found, sets[name, capacity]) == (capacity != 0.4)


def test_calibrate_leaves_a_norm_that_does_not_run_as_it_was() -> None:
    """A head that inference skips, say: no statistics are better than made-up ones."""
    plain = TinyEmbedder()
    plain.add_module("unused", nn.BatchNorm2d(3))
    plain.unused.running_mean.fill_(5)
    model = prunnet.make_prunable(plain)
    prunnet.calibrate(model, loader(), [1.0, 0.4])
    for capacity in (1.0, 0.4):
        assert (set_of(model.unused, capacity)["running_mean"] == 5).all()


class Failing:
    """A loader that breaks in the middle."""

    def __iter__(self) -> object:
        yield loader()[0]
        raise OSError("disk")


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (Failing(), OSError),
        ([], ValueError),
        ([{"pictures": 1}], ValueError),
        ([["path/to.png"]], ValueError),
        ([torch.zeros(2, 5, 8, 8)], RuntimeError),
    ],
)
def test_a_calibration_that_fails_leaves_no_trace(
    trained: nn.Module, broken: object, error: type[Exception]
) -> None:
    before, keys = all_sets(trained), snapshot(trained)
    for capacity in (0.4, 0.3):
        with pytest.raises(error):
            prunnet.calibrate(trained, broken, [capacity])
        after = all_sets(trained)
        assert after.keys() == before.keys()
        assert all(equal(after[key], before[key]) for key in before)
        assert all(torch.equal(value, keys[key]) for key, value in trained.state_dict().items())
        assert trained.training
        assert trained.bn1.training
        assert trained.bn1.momentum == 0.1
        assert prunnet.get_capacity(trained) == 1


@pytest.mark.parametrize(
    "pack",
    [
        lambda images: images,
        lambda images: (images, torch.zeros(6)),
        lambda images: [images],
        lambda images: {"images": images, "labels": torch.zeros(6)},
    ],
    ids=["images", "tuple", "list", "mapping"],
)
def test_calibrate_takes_batches_as_loaders_give_them(trained: nn.Module, pack: Callable) -> None:
    expected = copy.deepcopy(trained)
    prunnet.calibrate(expected, loader(), [0.4])
    prunnet.calibrate(trained, [pack(images) for images in loader()], [0.4])
    assert equal(set_of(trained.bn2, 0.4), set_of(expected.bn2, 0.4))


def test_calibrate_reads_the_loader_once_for_all_capacities(trained: nn.Module) -> None:
    """So every capacity sees the same images, of a generator or of a loader that shuffles."""
    expected = copy.deepcopy(trained)
    for capacity in (1.0, 0.4, 0.3):
        prunnet.calibrate(expected, loader(), [capacity])
    prunnet.set_capacity(trained, 0.8)
    prunnet.calibrate(trained, iter(loader()), [1.0, 0.4, 0.3])
    assert prunnet.get_capacity(trained) == 0.8
    prunnet.set_capacity(trained, 1.0)
    assert_equal_states(trained, snapshot(expected))


def test_calibrate_scales_bytes_as_evaluate_does(trained: nn.Module) -> None:
    images = torch.randint(256, (6, 1, 8, 8), dtype=torch.uint8)
    expected = copy.deepcopy(trained)
    prunnet.calibrate(expected, [images / 255], [0.4])
    prunnet.calibrate(trained, [images], [0.4])
    assert_equal_states(trained, snapshot(expected))


def test_calibrate_gives_a_network_images_of_its_precision(trained: nn.Module) -> None:
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    expected = copy.deepcopy(trained)
    prunnet.calibrate(expected, [images.float()], [0.4])
    prunnet.calibrate(trained, [images], [0.4])
    assert_equal_states(trained, snapshot(expected))


def test_calibrate_says_which_batch_a_norm_of_vectors_can_not_take() -> None:
    model = prunnet.make_prunable(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"`loader` .*drop_last=True.* a single image"):
        prunnet.calibrate(model, torch.randn(5, 4).split(2))
    assert_equal_states(model, before)


def test_an_average_of_weights_keeps_the_names_of_sets() -> None:
    """timm's ``ModelEmaV2`` and the like average integers as they do weights, and round down."""
    model = prunnet.make_prunable(TinyEmbedder(), capacities=(1 / 3,))
    model.bn1.norm_capacities.sub_(50)  # what fifty updates come to
    fresh = prunnet.make_prunable(TinyEmbedder(), capacities=(1 / 3,))
    fresh.load_state_dict(model.state_dict())
    assert fresh.bn1.set_capacities == (0.3333333,)


def test_a_network_without_batch_norms_calibrates_to_itself() -> None:
    model = prunnet.make_prunable(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)))
    before = snapshot(model)
    prunnet.calibrate(model, [torch.randn(2, 4)])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_calibrated_capacities_travel_in_a_state_dict(trained: nn.Module) -> None:
    prunnet.calibrate(trained, loader(3), [0.3, 0.1])
    trained.eval()
    fresh = prunnet.make_prunable(TinyEmbedder()).eval()
    fresh.load_state_dict(trained.state_dict())
    assert fresh.bn1.set_capacities == (0.8, 0.6, 0.4, 0.2, 0.3, 0.1)
    [images] = loader(9)[:1]
    for capacity in (1.0, 0.8, 0.35, 0.3, 0.15, 0.1):
        with prunnet.capacity(trained, capacity), prunnet.capacity(fresh, capacity):
            assert torch.equal(fresh(images), trained(images))


def test_a_loaded_capacity_goes_on_updating_its_set(trained: nn.Module) -> None:
    fresh = prunnet.make_prunable(TinyEmbedder(), (0.8,))
    fresh.load_state_dict(dict(trained.state_dict()))
    [images] = loader(9)[:1]
    for network in (trained, fresh):
        with prunnet.capacity(network, 0.4):
            network(images)
    assert equal(set_of(trained.bn2, 0.4), set_of(fresh.bn2, 0.4))


@pytest.mark.parametrize("assign", [False, True])
def test_a_plain_checkpoint_fills_every_set(model: nn.Module, assign: bool) -> None:
    plain = TinyEmbedder()
    for images in loader():
        plain(images)
    prunnet.set_capacity(model, 0.4)  # whatever it is set to
    with pytest.warns(UserWarning, match="Call reset_scores next"):
        model.load_state_dict(plain.state_dict(), strict=False, assign=assign)
    for (name, _), found in all_sets(model).items():
        assert equal(found, batch_norms(plain)[name].state_dict())
    before = all_sets(model)
    model(loader()[0])
    for (name, capacity), found in all_sets(model).items():
        assert equal(found, before[name, capacity]) == (capacity != 0.4)


def test_a_calibration_under_inference_mode_can_be_trained_on(trained: nn.Module) -> None:
    with torch.inference_mode():
        prunnet.calibrate(trained, loader(), [0.3, 0.4])
    for capacity in (0.3, 0.4):
        with prunnet.capacity(trained, capacity):
            trained(loader()[0]).sum().backward()
            assert trained.bn1.num_batches_tracked == BATCHES + 1


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm1d(5), nn.SyncBatchNorm(5), nn.InstanceNorm1d(5, track_running_stats=True)]
)
def test_every_norm_with_running_statistics_owns_sets(norm: nn.Module) -> None:
    original = type(norm)
    model = prunnet.make_prunable(nn.Sequential(nn.Conv2d(5, 5, 1), norm))
    assert model[1].set_capacities == (0.8, 0.6, 0.4, 0.2)
    assert type(prunnet.prune(model, 0.2)[1]) is original


def test_a_norm_without_running_statistics_is_left_alone() -> None:
    norm = nn.BatchNorm2d(5, track_running_stats=False)
    prunnet.make_prunable(nn.Sequential(nn.Conv2d(5, 5, 1), norm))
    assert type(norm) is nn.BatchNorm2d


def test_calibrating_on_images_with_nan_is_an_error_that_changes_nothing(
    trained: nn.Module,
) -> None:
    before = snapshot(trained)
    broken = [torch.full_like(images, torch.nan) for images in loader()]
    with pytest.raises(ValueError, match=r"`loader` should yield finite images\. Found NaN"):
        prunnet.calibrate(trained, broken)
    assert_equal_states(trained, before)  # to the bit


def test_a_norm_without_a_count_of_batches_gets_one() -> None:
    plain = TinyEmbedder()
    for norm in batch_norms(plain).values():
        norm.num_batches_tracked = None
    model = prunnet.make_prunable(plain)
    with prunnet.capacity(model, 0.4):
        model(loader()[0])
    for norm in batch_norms(prunnet.prune(model, 0.4)).values():
        assert norm.num_batches_tracked == 1


def test_norms_that_were_frozen_into_others_are_warned_of() -> None:
    """timm's ``freeze`` replaces batch norms: one set of statistics is left for all capacities."""
    plain = TinyEmbedder()
    timm.utils.freeze(plain, "bn1")
    with pytest.warns(UserWarning, match="`bn1`, a FrozenBatchNorm2d, has one set of running"):
        prunnet.make_prunable(plain)
    model = prunnet.make_prunable(TinyEmbedder())
    timm.utils.freeze(model, "bn1")
    with pytest.warns(UserWarning, match="`bn1`, a FrozenBatchNorm2d, has one set of running"):
        prunnet.ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), 0.1), model)
    with pytest.warns(UserWarning, match="`bn1`, a FrozenBatchNorm2d, has one set of running"):
        prunnet.calibrate(model, loader())


def test_a_set_that_can_not_be_added_leaves_no_trace(
    trained: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, cat, calls = snapshot(trained), torch.cat, []

    def failing(*args: object) -> Tensor:
        calls.append(args)
        if len(calls) == 5:  # in the middle of the second norm
            raise MemoryError
        return cat(*args)

    monkeypatch.setattr(torch, "cat", failing)
    with pytest.raises(MemoryError):
        prunnet.calibrate(trained, loader(), [0.5])
    monkeypatch.undo()
    assert_equal_states(trained, before)
    prunnet.calibrate(trained, loader(), [0.5])


def test_a_dropout_inside_of_a_norm_stays_off_while_calibrating() -> None:
    class NormAndDropout(nn.BatchNorm2d):
        def __init__(self, channels: int) -> None:
            super().__init__(channels)
            self.drop = nn.Dropout(0.5)

        def forward(self, features: Tensor) -> Tensor:
            return self.drop(super().forward(features))

    model = TinyEmbedder()
    model.bn1 = NormAndDropout(model.bn1.num_features)
    prunnet.make_prunable(model)
    prunnet.calibrate(model, loader())
    once = snapshot(model)
    prunnet.calibrate(model, loader())
    assert_equal_states(model, once)
    assert model.bn1.drop.training


def test_calibrating_a_compiled_network_compiles_nothing(trained: nn.Module) -> None:
    """Each batch weighs otherwise, and each weight would be a graph."""
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: object) -> object:
        graphs.append(graph)
        return graph.forward

    eager = copy.deepcopy(trained)
    prunnet.calibrate(torch.compile(trained, backend=backend), loader())
    prunnet.calibrate(eager, loader())
    assert not graphs
    assert_equal_states(trained, snapshot(eager))
    torch.compiler.reset()
