"""What users get wrong: a message that says what should be, and nothing changed behind it."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import timm
import torch
from channel_networks import ByHand
from networks import TinyEmbedder, assert_equal_states, snapshot
from pytorch_metric_learning.losses import ContrastiveLoss
from torch import Tensor, nn
from torch.nn.utils import prune

import prunnet_pml as prunnet
from prunnet_pml import network
from prunnet_pml.integration import Gradients, Integrator

BAD_CAPACITIES = [0, -1, 1.2, float("nan"), float("inf"), "half", None, True, [0.5]]
IMAGES = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> nn.Module:
    """In the middle of something: at a capacity, in mixed modes, with gradients."""
    model = prunnet.make_prunable(TinyEmbedder())
    for capacity in (0.2, 0.6):
        prunnet.set_capacity(model, capacity)
        model(IMAGES).sum().backward()
    model.bn1.eval()
    return model


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Fails if the block changed anything that a user could see of a network."""

    def look() -> tuple:
        return (
            [(name, type(module), module.training) for name, module in network.named_modules()],
            [(name, id(p), p.requires_grad) for name, p in network.named_parameters()],
            [m.capacity for m in network.modules() if hasattr(m, "capacity")],
            [sorted(vars(module)) for module in network.modules()],
        )

    before, state = look(), snapshot(network)
    gradients = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
    yield
    assert look() == before
    assert_equal_states(network, state)
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == (name not in gradients)
        assert parameter.grad is None or torch.equal(parameter.grad, gradients[name])


def with_capacity(model: nn.Module, capacity: float) -> None:
    with prunnet.capacity(model, capacity):
        raise AssertionError("the block should not be entered")


@pytest.mark.parametrize("capacity", BAD_CAPACITIES, ids=repr)
@pytest.mark.parametrize("function", [prunnet.set_capacity, with_capacity, prunnet.prune])
def test_a_capacity_out_of_range(model: nn.Module, function: Callable, capacity: object) -> None:
    with unchanged(model), pytest.raises(ValueError) as caught:
        function(model, capacity)
    assert str(caught.value) == f"`capacity` should be in (0, 1]. Found {capacity!r}."


def test_a_capacity_and_a_network_that_changed_places(model: nn.Module) -> None:
    """A network is not printed: it is pages long."""
    with pytest.raises(ValueError) as caught:
        prunnet.set_capacity(0.2, model)
    name = type(model).__name__
    assert str(caught.value) == f"`capacity` should be in (0, 1]. Found {name}."
    with pytest.raises(ValueError, match=rf"`capacities` should be a sequence .* Found {name}\.$"):
        prunnet.make_prunable(TinyEmbedder(), model)


@pytest.mark.parametrize("capacity", BAD_CAPACITIES, ids=repr)
def test_a_capacity_out_of_range_among_several(model: nn.Module, capacity: object) -> None:
    message = f"`capacities` should be in (0, 1]. Found {capacity!r}."
    with unchanged(model), pytest.raises(ValueError) as caught:
        prunnet.calibrate(model, [IMAGES], [0.4, capacity])
    assert str(caught.value) == message
    plain = TinyEmbedder()
    with unchanged(plain), pytest.raises(ValueError) as caught:
        prunnet.make_prunable(plain, (0.4, capacity))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("capacities", "message"),
    [
        ((), "`capacities` should hold at least one capacity. Found none."),
        ([0.2, 0.4, 0.2], "`capacities` should be distinct. Found [0.2, 0.4, 0.2]."),
        ([0.2, 1 - 0.8], "`capacities` should be distinct. Found [0.2, 0.19999999999999996]."),
        (0.5, "`capacities` should be a sequence of capacities. Found 0.5."),
        ("half", "`capacities` should be a sequence of capacities. Found 'half'."),
    ],
)
def test_capacities_empty_or_twice(model: nn.Module, capacities: object, message: str) -> None:
    plain = TinyEmbedder()
    with unchanged(plain), pytest.raises(ValueError) as caught:
        prunnet.make_prunable(plain, capacities)
    assert str(caught.value) == message
    with unchanged(model), pytest.raises(ValueError) as caught:
        prunnet.calibrate(model, [IMAGES], capacities)
    assert str(caught.value) == message


def test_the_dense_network_among_the_capacities() -> None:
    plain = TinyEmbedder()
    message = (
        r"`capacities` should be below 1: the dense network always takes part\. Found \[0\.5, 1"
    )
    with unchanged(plain), pytest.raises(ValueError, match=message):
        prunnet.make_prunable(plain, [0.5, 1])


def test_capacities_of_numpy_are_fine() -> None:
    model = prunnet.make_prunable(TinyEmbedder(), np.linspace(0.2, 0.8, 4, dtype=np.float32))
    assert prunnet.trained_capacities(model) == (0.8, 0.6, 0.4, 0.2)


def test_a_network_with_nothing_to_score() -> None:
    plain = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    with unchanged(plain), pytest.raises(ValueError) as caught:
        prunnet.make_prunable(plain)
    assert str(caught.value) == (
        "`model` should have a Conv2d or Linear. Found none in Sequential."
    )


@pytest.mark.parametrize(
    "norm",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
    ids=["weight_norm", "spectral_norm", "prune"],
)
def test_layers_whose_weight_is_no_parameter(norm: Callable[[nn.Module], nn.Module]) -> None:
    plain = nn.Sequential(nn.Flatten(), norm(nn.Linear(4, 4)))
    with unchanged(plain), pytest.raises(ValueError) as caught:
        prunnet.make_prunable(plain)
    assert str(caught.value) == (
        "`model` should have a Conv2d or Linear whose weight is a floating-point parameter. "
        "Found none in Sequential."
    )
    plain.append(nn.Linear(4, 4))
    with pytest.warns(UserWarning) as warned:
        model = prunnet.make_prunable(plain)
    assert str(warned[0].message) == (
        "1 of 2 layers of `model` get no scores and stay whole, `1` for one: its weight is no "
        "floating-point parameter, but computed (by weight_norm, spectral_norm or "
        "torch.nn.utils.prune) or quantised."
    )
    assert warned[0].filename == __file__
    assert list(prunnet.scored_layers(model)) == ["2"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nobody asked for the scores of that layer
        prunnet.make_prunable(
            nn.Sequential(norm(nn.Linear(4, 4)), nn.Linear(4, 4)),
            filter_fn=lambda _, name: name == "1",
        )


@pytest.mark.parametrize("granularity", ["weight", "channel"])
@pytest.mark.parametrize("broken", ["scores", "sets"])
def test_a_network_that_could_not_be_made_is_as_it_was(
    broken: str, granularity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_way(function: Callable) -> Callable:
        calls = iter([function])

        def fails_the_second_time(*arguments: object) -> object:
            for first in calls:
                return first(*arguments)
            raise KeyboardInterrupt

        return fails_the_second_time

    plain = ByHand()
    arguments = {"granularity": granularity, "generator": torch.Generator()}
    if granularity == "channel":
        arguments["example_input"] = torch.randn(1, 3, 32, 32)
    with monkeypatch.context() as patch:
        if broken == "sets":
            patch.setattr(network, "add_sets", half_way(network.add_sets))
        else:
            uniform = half_way(torch.nn.init.uniform_)
            patch.setattr(network, "score_function", lambda *_: lambda weight: uniform(weight * 1))
        with unchanged(plain), pytest.raises(KeyboardInterrupt):
            prunnet.make_prunable(plain, initial_scores="uniform", **arguments)
    assert not network.is_prunable(plain)
    prunnet.make_prunable(plain, initial_scores="uniform", **arguments)


def test_a_traced_network_is_taken_inside_of_a_module() -> None:
    traced = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)))
    with unchanged(traced), pytest.raises(ValueError) as caught:
        prunnet.make_prunable(traced)
    assert str(caught.value) == (
        "`model` should be a module around the GraphModule of torch.fx: nn.Sequential(model), say. "
        "Found the GraphModule itself."
    )
    model = prunnet.make_prunable(nn.Sequential(traced))
    images = torch.randn(3, 4)
    student = prunnet.prune(copy.deepcopy(model), 0.4)
    with prunnet.capacity(model, 0.4):
        assert torch.equal(student(images), model(images))


def test_quantised_layers_stay_whole() -> None:
    plain = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    plain[0].weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    with pytest.warns(UserWarning, match="`0` for one: its weight is no floating-point parameter"):
        model = prunnet.make_prunable(plain)
    assert list(prunnet.scored_layers(model)) == ["1"]


def test_a_network_that_is_all_head() -> None:
    class Head(nn.Linear):
        def get_classifier(self) -> nn.Module:
            return self

    plain = Head(4, 4)
    message = r"The default of `filter_fn` \(no embedding head\) should be true for .* of Head\."
    with unchanged(plain), pytest.raises(ValueError, match=message):
        prunnet.make_prunable(plain)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(m, nn.Linear(4, 2))])
def test_make_prunable_twice(model: nn.Module, wrap: Callable) -> None:
    network = wrap(model)
    message = r"`model` should be a plain network\. Found \w+, prunable already\."
    with unchanged(network), pytest.raises(ValueError, match=message):
        prunnet.make_prunable(network)


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_what_is_wrapped_is_made_prunable_before(wrap: Callable) -> None:
    wrapped = wrap(TinyEmbedder())
    found = type(wrapped).__name__
    message = rf"`model` should be made prunable before it is wrapped\. Found a {found}\."
    with unchanged(wrapped), pytest.raises(ValueError, match=message):
        prunnet.make_prunable(wrapped)


@pytest.mark.parametrize(
    "function",
    [
        lambda model: prunnet.prune(model, 0.5),
        lambda model: prunnet.set_capacity(model, 0.5),
        lambda model: with_capacity(model, 0.5),
        lambda model: prunnet.calibrate(model, [IMAGES]),
        lambda model: prunnet.reset_scores(model),
        lambda model: prunnet.get_capacity(model),
        lambda model: prunnet.trained_capacities(model),
        lambda model: prunnet.score_parameters(model),
        lambda model: prunnet.CompatibleLoss(ContrastiveLoss(), model, space="embedding"),
        lambda model: prunnet.ConflictAwareOptimizer(
            torch.optim.SGD(model.parameters(), lr=0.1), model
        ),
    ],
)
def test_a_plain_network_where_a_prunable_one_belongs(function: Callable) -> None:
    plain = TinyEmbedder()
    with unchanged(plain), pytest.raises(ValueError) as caught:
        function(plain)
    assert str(caught.value) == (
        "`model` should be a prunable network, see make_prunable. "
        "Found TinyEmbedder without scored layers."
    )


def test_a_filter_that_matches_nothing() -> None:
    plain = TinyEmbedder()
    with unchanged(plain), pytest.raises(ValueError) as caught:
        prunnet.make_prunable(plain, filter_fn=lambda _, name: name.startswith("layer1"))
    assert str(caught.value) == (
        "`filter_fn` should be true for a Conv2d or Linear of TinyEmbedder. "
        "Found none among 3 (`conv1`, `conv2`, `head`)."
    )


def test_a_network_of_depthwise_convolutions_alone() -> None:
    plain = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4))
    message = "should be true for a Conv2d or Linear that is not depthwise of Sequential."
    with unchanged(plain), pytest.raises(ValueError, match=re.escape(message)):
        prunnet.make_prunable(plain)


OTHER_LAYERS = "Make the network with the `filter_fn` and `score_depthwise` that it had then."


def test_a_checkpoint_with_scores_of_more_layers(model: nn.Module) -> None:
    then = prunnet.make_prunable(TinyEmbedder(), filter_fn=lambda *_: True).state_dict()
    message = f"Found none missing and 1 (`head.scores`) unexpected. {OTHER_LAYERS}"
    with unchanged(model), pytest.raises(ValueError, match=re.escape(message)):
        model.load_state_dict(then)
    bigger = nn.Sequential(model)
    with pytest.warns(UserWarning, match=r"`0\.head\.scores`\): they stay whole"):
        bigger.load_state_dict({f"0.{key}": value for key, value in then.items()}, strict=False)


def test_a_checkpoint_with_scores_of_fewer_layers(model: nn.Module) -> None:
    fewer = prunnet.make_prunable(TinyEmbedder(), filter_fn=lambda _, name: name == "conv2")
    message = f"Found 1 (`conv1.scores`) missing and none unexpected. {OTHER_LAYERS}"
    with unchanged(model), pytest.raises(ValueError, match=re.escape(message)):
        model.load_state_dict(fewer.state_dict())


def test_a_filter_that_fails() -> None:
    plain = TinyEmbedder()
    with unchanged(plain), pytest.raises(ZeroDivisionError):
        prunnet.make_prunable(plain, filter_fn=lambda _, name: name == "conv1" or 1 / 0)


def test_unknown_initial_scores(model: nn.Module) -> None:
    message = r"`initial_scores` should be 'magnitude' or 'uniform'\. Found 'random'\."
    plain = TinyEmbedder()
    with unchanged(plain), pytest.raises(ValueError, match=message):
        prunnet.make_prunable(plain, initial_scores="random")
    with unchanged(model), pytest.raises(ValueError, match=message):
        prunnet.reset_scores(model, "random")


@pytest.mark.parametrize(
    ("initial_scores", "generator", "message"),
    [
        ("uniform", 3, r"`generator` should be a torch\.Generator\. Found 3\."),
        (
            "magnitude",
            torch.Generator(),
            r"`generator` should be left out with initial_scores 'magnitude'\. Found Generator\.",
        ),
    ],
)
def test_a_generator_that_draws_nothing(
    model: nn.Module, initial_scores: str, generator: object, message: str
) -> None:
    plain = TinyEmbedder()
    with unchanged(plain), pytest.raises(ValueError, match=message):
        prunnet.make_prunable(plain, initial_scores=initial_scores, generator=generator)
    with unchanged(model), pytest.raises(ValueError, match=message):
        prunnet.reset_scores(model, initial_scores, generator)


def test_a_lazy_network_that_has_not_run() -> None:
    plain = nn.Sequential(nn.Linear(4, 4), nn.LazyLinear(2))
    message = r"`model` should have run once\. Found `1\.weight` without a shape\."
    with pytest.raises(ValueError, match=message):
        prunnet.make_prunable(plain)
    assert type(plain[0]) is nn.Linear


def test_norms_that_were_replaced_and_lost_every_statistic(model: nn.Module) -> None:
    message = r"`model` should have norm statistics .* Found `bn1`, a SyncBatchNorm that came after"
    replaced = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    with pytest.raises(ValueError, match=message):
        prunnet.ConflictAwareOptimizer(torch.optim.SGD(replaced.parameters(), 0.1), replaced)
    with pytest.raises(ValueError, match=message):
        prunnet.prune(replaced, 0.2)
    with pytest.raises(ValueError, match=message):
        prunnet.calibrate(replaced, [IMAGES])
    with pytest.raises(ValueError, match=message):
        prunnet.evaluate(replaced, (IMAGES, torch.arange(len(IMAGES)) % 2))
    beside = nn.Sequential(prunnet.make_prunable(TinyEmbedder()), nn.BatchNorm1d(4))
    prunnet.prune(beside, 0.2)  # a norm of somebody else's


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (None, r"`loader` should yield at least one batch\. Found none\."),
        ([], r"`loader` should yield images .*\. Found list\."),
        ({"pixels": IMAGES}, r"`loader` should yield images .* mapping .*\. Found dict\."),
        ("a.png", r"`loader` should yield images .*\. Found str\."),
        (torch.arange(4), r"`loader` should yield images \[b, \.\.\.\], .* Found .*shape \(4,\)"),
    ],
)
def test_a_loader_without_images(model: nn.Module, batch: object, message: str) -> None:
    loader = [] if batch is None else [batch]
    with unchanged(model), pytest.raises(ValueError, match=message):
        prunnet.calibrate(model, loader, [0.3])
    with unchanged(model), pytest.raises(ValueError, match=message):
        prunnet.prune(model, 0.3, calibration=loader)


def other_architecture(change: str) -> dict[str, Tensor]:
    state = prunnet.make_prunable(TinyEmbedder()).state_dict()
    if change == "shape":
        state["conv2.weight"] = torch.zeros(9, 6, 3, 3)
    elif change == "shape of scores":
        state["conv2.scores"] = torch.zeros(8, 6, 1, 1)
    elif change == "channels of a set":
        state["bn2.capacity_running_mean"] = torch.zeros(4, 9)
    elif change == "nothing in common":
        state = {f"module.{key}": value for key, value in state.items()}
    elif change == "new name":
        state["conv3.weight"] = torch.zeros(3)
    elif change == "missing name":
        del state["conv2.bias"]
    elif change == "no scores":
        state = TinyEmbedder().state_dict()
    return state


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("shape", r"`conv2\.weight` should have shape \(8, 6, 3, 3\)\. Found \(9, 6, 3, 3\)"),
        ("shape of scores", r"`conv2\.scores` should have shape \(8, 6, 3, 3\)\. Found"),
        ("channels of a set", r"`bn2\.capacity_running_mean` should have shape \(4, 8\)\. Found"),
        ("nothing in common", r"Found 17 \(`bn1\.bias`, .*\) missing and 25 \(`module\.bn1"),
    ],
)
def test_a_checkpoint_of_another_architecture(
    model: nn.Module, change: str, found: str, strict: bool
) -> None:
    message = rf"`state_dict` should fit TinyEmbedder(:|\.) {found}"
    with unchanged(model), pytest.raises(ValueError, match=message):
        model.load_state_dict(other_architecture(change), strict=strict)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("new name", r"Found none missing and 1 \(`conv3\.weight`\) unexpected\.$"),
        ("missing name", r"Found 1 \(`conv2\.bias`\) missing and none unexpected\.$"),
        ("no scores", r"Found 2 \(.*\) missing and none unexpected\. A plain checkpoint lacks"),
    ],
)
def test_a_checkpoint_with_other_names(model: nn.Module, change: str, found: str) -> None:
    """Refused as a whole if the caller is strict, as far as it goes if not."""
    state = other_architecture(change)
    message = rf"`state_dict` should fit TinyEmbedder\. {found}"
    with unchanged(model), pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    expected = pytest.warns(match="Call reset_scores") if change == "no scores" else nullcontext()
    with expected:
        model.load_state_dict(state, strict=False)
    assert torch.equal(model.state_dict()["conv1.weight"], state["conv1.weight"])


def test_a_checkpoint_of_another_timm_network() -> None:
    model = prunnet.make_prunable(timm.create_model("test_resnet", num_classes=4))
    for name in ("test_vit", "test_efficientnet", "resnet18"):
        state = timm.create_model(name, num_classes=4).state_dict()
        with unchanged(model), pytest.raises(ValueError, match="`state_dict` should fit ResNet"):
            model.load_state_dict(state, strict=False)


def test_an_optimizer_that_misses_the_scores() -> None:
    """Built before make_prunable: it would train the weights and never the scores."""
    plain = TinyEmbedder()
    sgd = torch.optim.SGD(plain.parameters(), lr=0.1)
    model = prunnet.make_prunable(plain)
    with unchanged(model), pytest.raises(ValueError) as caught:
        prunnet.ConflictAwareOptimizer(sgd, model)
    assert str(caught.value) == (
        "`optimizer` should hold the scores of `model`. Found 2 missing (`conv1.scores`, ...): "
        "build it after make_prunable."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "sgd"}, r"`optimizer` should be a torch Optimizer\. Found 'sgd'\."),
        ({"shared": "none"}, r"`shared` should be 'dense' or 'sum'\. Found 'none'\."),
        ({"integration": "sum"}, r"`integration` should be an Integrator or .* Found 'sum'\."),
        ({"seed": "zero"}, r"`seed` should be an integer\. Found 'zero'\."),
        ({"dense_steps": -1}, r"`dense_steps` should be an integer from 0 on\. Found -1\."),
        ({"subnetworks_per_step": 0}, r"an integer from 1 to .* below 1, 4\. Found 0\."),
        ({"subnetworks_per_step": 5}, r"an integer from 1 to .* below 1, 4\. Found 5\."),
        ({"subnetworks_per_step": 0.5}, r"an integer from 1 to .* below 1, 4\. Found 0\.5\."),
    ],
)
def test_a_bad_argument_of_the_optimizer(arguments: dict, message: str) -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    arguments = {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1), **arguments}
    with pytest.raises(ValueError, match=message):
        prunnet.ConflictAwareOptimizer(model=model, **arguments)


def optimizer_for(model: nn.Module) -> prunnet.ConflictAwareOptimizer:
    inner = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return prunnet.ConflictAwareOptimizer(inner, model, subnetworks_per_step=None)


@pytest.mark.parametrize(
    ("capacities", "found"), [(0, 0), (1, 0), (3, 2)], ids=["no loop", "first", "in the middle"]
)
def test_a_step_before_all_capacities_ran(capacities: int, found: int) -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    optimizer = optimizer_for(model)
    before = snapshot(model)
    message = (
        r"`step\(\)` should follow a whole loop over `capacities\(\)`\. "
        rf"Found {found} of 5 capacities since the last step\."
    )

    def inside() -> None:
        for index, _ in enumerate(optimizer.capacities(), 1):
            model.eval()(IMAGES).sum().backward()
            if index == capacities:
                optimizer.step()

    with pytest.raises(RuntimeError, match=message):
        inside() if capacities else optimizer.step()
    assert_equal_states(model, before)
    assert not optimizer.state
    assert prunnet.get_capacity(model) == 1


def test_a_step_inside_of_a_second_loop() -> None:
    """A wrong indentation, where gradients are accumulated already."""
    model = prunnet.make_prunable(TinyEmbedder())
    optimizer = optimizer_for(model)
    for _ in optimizer.capacities():
        model(IMAGES).sum().backward()
    parameters = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(RuntimeError, match="should follow a whole loop"):
        for _ in optimizer.capacities():
            model(IMAGES).sum().backward()
            optimizer.step()
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), parameters, strict=True))


def test_two_steps_after_one_loop() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    optimizer = optimizer_for(model)
    for _ in optimizer.capacities():
        model(IMAGES).sum().backward()
    optimizer.step()
    with unchanged(model), pytest.raises(RuntimeError, match="Found 0 of 5 capacities since"):
        optimizer.step()


def test_a_loop_inside_of_a_loop() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    optimizer = optimizer_for(model)
    with pytest.raises(RuntimeError, match=r"`capacities\(\)` should run to its end before"):
        for _ in optimizer.capacities():
            next(optimizer.capacities())
    assert prunnet.get_capacity(model) == 1


def test_a_capacity_without_backward() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    optimizer = optimizer_for(model)
    message = r"Every capacity should run backward\. Found no gradient at capacity 0\.8\."
    with pytest.raises(RuntimeError, match=message):
        for capacity in optimizer.capacities():
            loss = model(IMAGES).sum()
            if capacity == 1:
                loss.backward()
    assert prunnet.get_capacity(model) == 1


def test_a_closure() -> None:
    optimizer = optimizer_for(prunnet.make_prunable(TinyEmbedder()))
    with pytest.raises(ValueError, match=r"`closure` should be None\. Found a closure\."):
        optimizer.step(lambda: 0.0)


def test_calibrating_a_plain_network_is_refused() -> None:
    with pytest.raises(ValueError, match="`model` should be a prunable network"):
        prunnet.calibrate(TinyEmbedder(), [], [0.5])


def test_a_number_where_evaluate_takes_capacities(model: nn.Module) -> None:
    data = IMAGES, torch.arange(len(IMAGES)) % 2
    with pytest.raises(ValueError, match=r"`capacities` should be a sequence of .* Found 1\."):
        prunnet.evaluate(model, data, capacities=1)
    prunnet.evaluate(model, data, capacities=[1], batch_size=np.int64(2))


def test_an_integrator_that_returns_too_few_gradients_is_named() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)

    class TooFew(Integrator):
        def __call__(self, gradients: Gradients, generator: torch.Generator) -> list[Tensor]:
            return [rows[0] for rows in gradients][1:]

    optimizer = prunnet.ConflictAwareOptimizer(sgd, model, TooFew())
    message = r"`integrator` should return a gradient for each of \d+ tensors\. Found \d+ of TooFew"
    with pytest.raises(ValueError, match=message):
        for _ in optimizer.capacities():
            model(IMAGES).sum().backward()


def test_an_integrator_class_is_refused() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="`integration` should be an Integrator or a function"):
        prunnet.ConflictAwareOptimizer(sgd, model, prunnet.PCGrad)
