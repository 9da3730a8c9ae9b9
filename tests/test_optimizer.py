"""``ConflictAwareOptimizer``: which gradients it collects, what it makes of them, when it steps."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import timm
import torch
from networks import TinyEmbedder, assert_equal_states, snapshot
from pytorch_metric_learning.losses import ArcFaceLoss
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml import ConflictAware, ConflictAwareOptimizer, Sum
from prunnet_pml.integration import Integrator

CAPACITIES = (1.0, 0.8, 0.6, 0.4, 0.2)


class Recorder(Integrator):
    """Keeps what it is given, and answers with twice the dense gradient."""

    def __init__(self) -> None:
        self.calls: list[list[list[Tensor]]] = []

    def __call__(
        self, gradients: Sequence[Sequence[Tensor]], generator: torch.Generator
    ) -> list[Tensor]:
        self.calls.append([[row.clone() for row in tensor] for tensor in gradients])
        return [2 * tensor[0] for tensor in gradients]


class Task(nn.Module):
    """A prunable network and the class weights of a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.model = prunnet.make_prunable(TinyEmbedder())
        self.classes = nn.Parameter(torch.randn(4, 3))

    def loss(self, images: Tensor) -> Tensor:
        labels = torch.arange(len(images)) % 3
        return nn.functional.cross_entropy(self.model(images) @ self.classes, labels)

    def optimizer(
        self, inner: type = torch.optim.SGD, lr: float = 0.1, **kwargs: object
    ) -> ConflictAwareOptimizer:
        """Of all trained capacities in every step, if nothing else is said, and none between."""
        kwargs = {"subnetworks_per_step": None, "between": 0.0, **kwargs}
        return ConflictAwareOptimizer(inner(self.parameters(), lr=lr), self.model, **kwargs)

    def loop(self, optimizer: ConflictAwareOptimizer, images: Tensor) -> None:
        for _ in optimizer.capacities():
            self.loss(images).backward()

    def scored(self) -> set[str]:
        return {
            f"model.{name}.{key}"
            for name in prunnet.scored_layers(self.model)
            for key in ("weight", "scores")
        }

    def rows_by_hand(self, *batches: Tensor) -> dict[str, list[Tensor | None]]:
        """Every parameter's gradient at every capacity, summed over batches, by autograd alone."""
        twin = copy.deepcopy(self)
        names, parameters = zip(*twin.named_parameters(), strict=True)
        rows: dict[str, list] = {name: [] for name in names}
        for capacity in CAPACITIES:
            prunnet.set_capacity(twin.model, capacity)
            total = sum(twin.loss(images) for images in batches)
            found = torch.autograd.grad(total, parameters)
            masks = {
                f"model.{name}.scores": (layer.weight != 0).float()
                for name, layer in prunnet.scored_layers(twin.model).items()
            }
            for name, gradient in zip(names, found, strict=True):
                rows[name].append(gradient * masks.get(name, 1))
        return rows

    def gradients(self) -> dict[str, Tensor]:
        return {name: parameter.grad for name, parameter in self.named_parameters()}


@pytest.fixture
def task() -> Task:
    return Task()


def batches(count: int) -> list[Tensor]:
    return [torch.randn(6, 1, 8, 8) for _ in range(count)]


def assert_gradients(task: Task, expected: dict[str, Tensor]) -> None:
    for name, gradient in task.gradients().items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def run_through(task: Task, optimizer: ConflictAwareOptimizer, images: Tensor) -> list[float]:
    """The capacities of one loop."""
    ran = []
    for capacity in optimizer.capacities():
        ran.append(capacity)
        task.loss(images).backward()
    return ran


def test_the_loop_goes_through_the_capacities_and_ends_dense(task: Task) -> None:
    optimizer = task.optimizer()
    [images] = batches(1)
    seen = []
    for capacity in optimizer.capacities():
        seen.append((capacity, prunnet.get_capacity(task.model)))
        task.loss(images).backward()
    assert seen == [(capacity, capacity) for capacity in CAPACITIES]
    assert prunnet.get_capacity(task.model) == 1


@pytest.mark.parametrize("shared", ["dense", "sum"])
def test_what_is_scored_is_integrated_and_the_rest_follows_shared(task: Task, shared: str) -> None:
    optimizer = task.optimizer(integration=Sum(), shared=shared)
    [images] = batches(1)
    expected = {
        name: sum(rows) if name in task.scored() or shared == "sum" else rows[0]
        for name, rows in task.rows_by_hand(images).items()
    }
    task.loop(optimizer, images)
    assert_gradients(task, expected)


def test_the_integrator_sees_one_gradient_per_capacity(task: Task) -> None:
    recorder = Recorder()
    optimizer = task.optimizer(integration=recorder)
    [images] = batches(1)
    by_hand = task.rows_by_hand(images)
    task.loop(optimizer, images)
    [gradients] = recorder.calls
    names = [name for name, _ in task.named_parameters() if name in task.scored()]
    assert len(gradients) == len(names)
    for name, rows in zip(names, gradients, strict=True):
        for row, expected in zip(rows, by_hand[name], strict=True):
            torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-6, msg=name)
        torch.testing.assert_close(task.gradients()[name], 2 * rows[0])


def test_a_subnetwork_moves_its_own_scores_only_and_the_dense_network_all(task: Task) -> None:
    recorder = Recorder()
    task.loop(task.optimizer(integration=recorder), batches(1)[0])
    layer = task.model.conv2
    names = [name for name, _ in task.named_parameters() if name in task.scored()]
    rows = recorder.calls[0][names.index("model.conv2.scores")]
    assert (rows[0] != 0).all()
    for capacity, row in zip(CAPACITIES[1:], rows[1:], strict=True):
        with prunnet.capacity(task.model, capacity):
            assert torch.equal(row != 0, layer.weight != 0)


@pytest.mark.parametrize("shared", ["dense", "sum"])
def test_two_loops_accumulate_before_integration(task: Task, shared: str) -> None:
    recorder = Recorder()
    optimizer = task.optimizer(integration=recorder, shared=shared)
    one, other = batches(2)
    by_hand = task.rows_by_hand(one, other)
    task.loop(optimizer, one)
    task.loop(optimizer, other)
    names = [name for name, _ in task.named_parameters() if name in task.scored()]
    for name, rows in zip(names, recorder.calls[-1], strict=True):
        for row, expected in zip(rows, by_hand[name], strict=True):
            torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-6, msg=name)
    expected_classes = by_hand["classes"][0] if shared == "dense" else sum(by_hand["classes"])
    torch.testing.assert_close(task.classes.grad, expected_classes, rtol=1e-4, atol=1e-6)


def test_a_step_ends_the_accumulation(task: Task) -> None:
    recorder = Recorder()
    optimizer = task.optimizer(integration=recorder)
    one, other = batches(2)
    task.loop(optimizer, one)
    optimizer.step()
    by_hand = task.rows_by_hand(other)
    task.loop(optimizer, other)
    torch.testing.assert_close(task.classes.grad, sum(by_hand["classes"]), rtol=1e-4, atol=1e-6)


def test_zero_grad_inside_of_the_loop_is_harmless(task: Task) -> None:
    """Many trainers call it before every backward."""
    expected = copy.deepcopy(task)
    [images] = batches(1)
    expected.loop(expected.optimizer(integration=Sum()), images)
    optimizer = task.optimizer(integration=Sum())
    for index, _ in enumerate(optimizer.capacities()):
        optimizer.zero_grad(set_to_none=bool(index % 2))
        task.loss(images).backward()
    assert_gradients(task, expected.gradients())


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_between_loops_forgets_what_was_accumulated(
    task: Task, set_to_none: bool
) -> None:
    optimizer = task.optimizer(integration=Sum())
    one, other = batches(2)
    task.loop(optimizer, one)
    optimizer.zero_grad(set_to_none)
    assert all(p.grad is None or not p.grad.any() for p in task.parameters())
    by_hand = task.rows_by_hand(other)
    task.loop(optimizer, other)
    torch.testing.assert_close(task.model.conv1.scores.grad, sum(by_hand["model.conv1.scores"]))


def stop_by_break(task: Task, optimizer: ConflictAwareOptimizer, images: Tensor) -> None:
    for capacity in optimizer.capacities():
        task.loss(images).backward()
        if capacity == 0.6:
            break


def stop_by_exception(task: Task, optimizer: ConflictAwareOptimizer, images: Tensor) -> None:
    with pytest.raises(KeyboardInterrupt):
        for capacity in optimizer.capacities():
            task.loss(images).backward()
            if capacity == 0.6:
                raise KeyboardInterrupt


@pytest.mark.parametrize("accumulated", [0, 1])
@pytest.mark.parametrize("stop", [stop_by_break, stop_by_exception])
def test_a_loop_that_was_left_leaves_a_dense_network_and_no_rows(
    task: Task, stop: Callable, accumulated: int
) -> None:
    optimizer = task.optimizer(integration=Sum())
    one, other = batches(2)
    for _ in range(accumulated):
        task.loop(optimizer, one)
    before = dict(task.named_parameters())
    stop(task, optimizer, one)
    assert prunnet.get_capacity(task.model) == 1
    with pytest.raises(RuntimeError, match=r"a whole loop .* Found 2 of 5 capacities"):
        optimizer.step()
    assert all(before[name] is p for name, p in task.named_parameters())
    by_hand = task.rows_by_hand(other)
    task.loop(optimizer, other)
    torch.testing.assert_close(task.model.conv1.scores.grad, sum(by_hand["model.conv1.scores"]))
    optimizer.step()


def test_dense_steps_are_those_of_the_plain_optimizer(task: Task) -> None:
    plain = copy.deepcopy(task)
    inner = torch.optim.SGD(plain.parameters(), lr=0.1)
    optimizer = task.optimizer(dense_steps=2)
    for images in batches(2):
        inner.zero_grad()
        plain.loss(images).backward()
        inner.step()
        assert run_through(task, optimizer, images) == [1.0]
        optimizer.step()
        assert_equal_states(task, plain.state_dict())
    assert run_through(task, optimizer, images) == [*CAPACITIES]


def test_dense_steps_are_counted_on_after_resuming(task: Task) -> None:
    optimizer = task.optimizer(dense_steps=2)
    [images] = batches(1)
    task.loop(optimizer, images)
    optimizer.step()
    resumed = task.optimizer(dense_steps=2)
    resumed.load_state_dict(optimizer.state_dict())
    assert run_through(task, resumed, images) == [1.0]
    resumed.step()
    assert run_through(task, resumed, images) == [*CAPACITIES]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_subnetworks_are_drawn_evenly_and_largest_first(task: Task, count: int) -> None:
    optimizer = task.optimizer(lr=0.0, subnetworks_per_step=count)
    [images] = batches(1)
    seen: Counter[float] = Counter()
    for _ in range(120):
        dense, *drawn = run_through(task, optimizer, images)
        optimizer.step()
        assert dense == 1
        assert len(drawn) == count
        assert drawn == sorted(set(drawn), reverse=True)
        seen.update(drawn)
    expected = 120 * count / 4
    assert set(seen) == set(CAPACITIES[1:])
    assert all(abs(times - expected) <= 20 for times in seen.values())  # 4 standard deviations


def run_and_step(task: Task, optimizer: ConflictAwareOptimizer, images: Tensor) -> list[float]:
    found = run_through(task, optimizer, images)
    optimizer.step()
    return found


def test_by_default_a_step_has_the_dense_network_and_one_drawn_subnetwork(task: Task) -> None:
    optimizer = ConflictAwareOptimizer(torch.optim.SGD(task.parameters(), lr=0.1), task.model)
    steps = [run_and_step(task, optimizer, images) for images in batches(48)]
    dense, drawn = zip(*steps, strict=True)
    assert {*dense} == {1}
    assert {*drawn} > {*CAPACITIES[1:]}
    assert max(drawn) == CAPACITIES[1]
    half = task.optimizer(subnetworks_per_step=1, between=0.5)
    assert steps == [run_and_step(task, half, images) for images in batches(48)]


@pytest.mark.parametrize(("count", "between"), [(None, 0), (1, 0), (2, 0), (3, 0), (2, 0.5)])
def test_averages_of_what_is_drawn_reach_as_many_steps_back(
    task: Task, count: int | None, between: float
) -> None:
    """Over the same images in every step they near the batch's by a tenth for each step."""
    optimizer = task.optimizer(lr=0.0, subnetworks_per_step=count, between=between)
    [images] = batches(1)
    exact = copy.deepcopy(task.model)
    prunnet.calibrate(exact, [images])
    seen: Counter[float] = Counter()
    for _ in range(16):
        seen.update(run_through(task, optimizer, images))
        optimizer.step()
    assert set(seen) >= set(CAPACITIES)
    assert task.model.bn1.momentum == 0.1
    for capacity in CAPACITIES:
        steps = seen[capacity]
        if capacity < 1 and count is not None:
            steps *= 4 / count / (1 if capacity == 0.2 else 1 - between)
        with prunnet.capacity(task.model, capacity), prunnet.capacity(exact, capacity):
            expected = (1 - 0.9**steps) * exact.bn1.running_mean
            torch.testing.assert_close(task.model.bn1.running_mean, expected)


def test_a_pass_that_fails_leaves_momenta_as_they_were(task: Task) -> None:
    optimizer = task.optimizer(subnetworks_per_step=1)
    inside = []

    def fail_in_a_subnetwork() -> None:
        for capacity in optimizer.capacities():
            inside.append(task.model.bn1.momentum)
            if capacity < 1:
                raise KeyboardInterrupt
            task.loss(batches(1)[0]).backward()

    with pytest.raises(KeyboardInterrupt):
        fail_in_a_subnetwork()
    assert inside == [0.1, pytest.approx(1 - 0.9**4)]
    assert task.model.bn1.momentum == 0.1


def test_a_norm_that_averages_all_batches_goes_on_doing_so(task: Task) -> None:
    for norm in (task.model.bn1, task.model.bn2):
        norm.momentum = None
    optimizer = task.optimizer(lr=0.0, subnetworks_per_step=1)
    seen: dict[float, list[Tensor]] = {}
    exact = copy.deepcopy(task.model)
    for images in batches(8):
        for capacity in run_through(task, optimizer, images):
            seen.setdefault(capacity, []).append(images)
        optimizer.step()
    for capacity, of_capacity in seen.items():
        prunnet.calibrate(exact, of_capacity, [capacity])
        with prunnet.capacity(task.model, capacity), prunnet.capacity(exact, capacity):
            torch.testing.assert_close(task.model.bn1.running_mean, exact.bn1.running_mean)


def test_what_is_drawn_is_integrated_and_accumulates(task: Task) -> None:
    optimizer = task.optimizer(integration=Sum(), subnetworks_per_step=2)
    two = batches(2)
    by_hand = task.rows_by_hand(*two)
    ran = [run_through(task, optimizer, images) for images in two]
    assert ran[0] == ran[1]
    chosen = [CAPACITIES.index(capacity) for capacity in ran[0]]
    assert len(chosen) == 3
    assert_gradients(task, {name: sum(rows[i] for i in chosen) for name, rows in by_hand.items()})
    optimizer.step()


def test_draws_repeat_by_their_seed_and_go_on_after_resuming(task: Task) -> None:
    [images] = batches(1)

    def draws(optimizer: ConflictAwareOptimizer, steps: int) -> list[list[float]]:
        return [run_and_step(task, optimizer, images) for _ in range(steps)]

    optimizer = task.optimizer(subnetworks_per_step=1)
    expected = draws(optimizer, 8)
    assert draws(task.optimizer(subnetworks_per_step=1), 8) == expected
    assert draws(task.optimizer(subnetworks_per_step=1, seed=1), 8) != expected
    resumed = task.optimizer(subnetworks_per_step=1)
    resumed.load_state_dict(optimizer.state_dict())
    assert draws(resumed, 8) == draws(optimizer, 8)


def test_orders_do_not_follow_from_what_is_drawn(task: Task) -> None:
    """The first number of the integrator's generator, among steps that drew the same."""
    firsts: dict[tuple[float, ...], list[int]] = {}

    class First(Integrator):
        def __call__(
            self, gradients: Sequence[Sequence[Tensor]], generator: torch.Generator
        ) -> list[Tensor]:
            order = torch.randperm(4, generator=generator)
            firsts.setdefault(tuple(ran), []).append(int(order[0]))
            return [tensor[0] for tensor in gradients]

    optimizer = task.optimizer(integration=First(), subnetworks_per_step=1)
    [images] = batches(1)
    for _ in range(60):
        ran = []
        for capacity in optimizer.capacities():
            ran.append(capacity)
            task.loss(images).backward()
        optimizer.step()
    assert len(firsts) == 4
    assert all(len(set(found)) > 1 for found in firsts.values())


def test_groups_keep_their_learning_rates(task: Task) -> None:
    scores = prunnet.score_parameters(task.model)
    known = {id(parameter) for parameter in scores}
    others = [p for p in task.model.parameters() if id(p) not in known]
    sgd = torch.optim.SGD([{"params": others}, {"params": scores, "lr": 2.0}], lr=0.1)
    optimizer = ConflictAwareOptimizer(sgd, task.model, subnetworks_per_step=None)
    optimizer.add_param_group({"params": [task.classes], "lr": 0.5})
    assert sgd.param_groups is optimizer.param_groups
    before = copy.deepcopy(task)
    task.loop(optimizer, batches(1)[0])
    gradients = {name: gradient.clone() for name, gradient in task.gradients().items()}
    optimizer.step()
    for (name, parameter), old in zip(task.named_parameters(), before.parameters(), strict=True):
        rate = 2.0 if name.endswith("scores") else 0.5 if name == "classes" else 0.1
        expected = old - rate * gradients[name]
        torch.testing.assert_close(parameter, expected, msg=name)
        assert not torch.equal(parameter, old), name


def test_it_is_an_optimizer_that_shares_everything_with_the_wrapped_one(task: Task) -> None:
    optimizer = task.optimizer(torch.optim.AdamW)
    assert isinstance(optimizer, torch.optim.Optimizer)
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    task.loop(optimizer, batches(1)[0])
    optimizer.step()
    assert calls == [1]
    assert optimizer.state is optimizer.optimizer.state
    assert optimizer.param_groups is optimizer.optimizer.param_groups
    assert set(optimizer.state) == set(task.parameters())


def test_state_dict_loads_into_either(task: Task) -> None:
    """A run may begin with the plain optimizer, or go on with it."""
    optimizer = task.optimizer(torch.optim.AdamW, seed=7)
    task.loop(optimizer, batches(1)[0])
    optimizer.step()
    state = optimizer.state_dict()
    plain = torch.optim.AdamW(task.parameters(), lr=1.0)
    plain.load_state_dict(state)
    assert plain.param_groups[0]["lr"] == 0.1
    fresh = task.optimizer(torch.optim.AdamW)
    fresh.load_state_dict(plain.state_dict())
    assert fresh.seed == 0
    fresh.load_state_dict(state)
    assert fresh.seed == 7
    assert fresh.state is fresh.optimizer.state
    for one, other in zip(fresh.state.values(), optimizer.state.values(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_replicas_draw_the_same_orders_and_steps_draw_new_ones(task: Task) -> None:
    drawn: dict[object, list] = {}

    class Drawing(Recorder):
        def __call__(self, gradients: object, generator: torch.Generator) -> list[Tensor]:
            drawn.setdefault(self, []).append(torch.rand(3, generator=generator).tolist())
            return super().__call__(gradients, generator)

    images = batches(3)
    integrators = [Drawing() for _ in range(3)]
    for integrator, seed in zip(integrators, (1, 1, 2), strict=True):
        replica = copy.deepcopy(task)
        optimizer = replica.optimizer(integration=integrator, seed=seed)
        for batch in images:
            torch.manual_seed(id(integrator))  # what else is drawn must not matter
            replica.loop(optimizer, batch)
            optimizer.step()
    one, same, other = (drawn[integrator] for integrator in integrators)
    assert one == same
    assert len({tuple(numbers) for numbers in (*one, *other)}) == 6


def test_conflict_aware_integration_is_the_default(task: Task) -> None:
    default = task.optimizer()
    assert isinstance(default.integration, ConflictAware)
    [images] = batches(1)
    task.loop(default, images)
    found = copy.deepcopy(task.gradients())
    task.loop(task.optimizer(integration=Sum()), images)
    assert any(
        not torch.allclose(found[name], task.gradients()[name], rtol=1e-2) for name in task.scored()
    )
    for name in found.keys() - task.scored():
        torch.testing.assert_close(found[name], task.gradients()[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "per_filter"),
    [
        ("resnet18", {}, True),
        ("resnext50_32x4d", {}, True),
        ("convnext_atto", {"score_depthwise": True}, True),
        ("mobilenetv2_100", {}, True),
        ("mobilenetv2_100", {"score_depthwise": True}, False),
        ("test_efficientnet", {"granularity": "channel"}, False),
    ],
)
def test_where_filters_of_nine_numbers_are_scored_whole_tensors_are_integrated(
    name: str, arguments: dict[str, object], per_filter: bool
) -> None:
    with torch.device("cpu" if "granularity" in arguments else "meta"):
        model = prunnet.make_prunable(timm.create_model(name, num_classes=4), **arguments)
    optimizer = ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), 0.1), model)
    assert optimizer.integration.per_filter is per_filter


def test_depthwise_filters_whose_weight_is_parametrized_are_not_integrated() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1))
    nn.utils.parametrizations.weight_norm(network[1])
    with pytest.warns(UserWarning, match="1 of 3 layers of `model` get no scores"):
        model = prunnet.make_prunable(network, score_depthwise=True)
    optimizer = ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), 0.1), model)
    assert optimizer.integration.per_filter is True


def test_groups_and_state_are_the_wrapped_one_s_after_it_was_resumed(task: Task) -> None:
    optimizer = task.optimizer(torch.optim.Adam)
    inner = optimizer.optimizer
    [images] = batches(1)
    task.loop(optimizer, images)
    optimizer.step()
    inner.load_state_dict(inner.state_dict())  # which replaces both
    for twin in (optimizer, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        for name in ("state", "param_groups", "defaults"):
            assert getattr(twin, name) is getattr(twin.optimizer, name)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    task.loop(optimizer, images)
    optimizer.step()
    schedule.step()
    assert inner.param_groups[0]["lr"] == pytest.approx(0.01)
    assert not hasattr(optimizer, "groups")


def test_any_function_of_a_matrix_integrates(task: Task) -> None:
    shapes = []

    def mean(matrix: Tensor) -> Tensor:
        shapes.append(tuple(matrix.shape))
        return matrix.mean(0)

    by_hand = task.rows_by_hand(images := batches(1)[0])
    task.loop(task.optimizer(integration=mean), images)
    assert shapes == [(5, 2 * (54 + 432))]
    for name in task.scored():
        expected = torch.stack(by_hand[name]).mean(0)
        torch.testing.assert_close(task.gradients()[name], expected, rtol=1e-4, atol=1e-6)


def test_an_integrator_that_fails_leaves_nothing_to_step_with(task: Task) -> None:
    optimizer = task.optimizer(integration=lambda matrix: matrix)
    with pytest.raises(ValueError, match=r"`integration` should map \[5, n\] to \[n\]"):
        task.loop(optimizer, batches(1)[0])
    assert prunnet.get_capacity(task.model) == 1
    with pytest.raises(RuntimeError, match="a whole loop"):
        optimizer.step()


def test_a_parameter_without_gradient_stays_without(task: Task) -> None:
    """Weight decay must not move what took no part."""
    task.unused = nn.Parameter(torch.ones(3))
    optimizer = ConflictAwareOptimizer(
        torch.optim.SGD(task.parameters(), lr=0.1, weight_decay=0.5),
        task.model,
        subnetworks_per_step=None,
    )
    task.loop(optimizer, batches(1)[0])
    optimizer.step()
    assert task.unused.grad is None
    assert (task.unused == 1).all()


def test_frozen_scores_and_weights_stay(task: Task) -> None:
    task.model.conv1.scores.requires_grad_(False)
    for parameter in task.model.conv2.parameters():
        parameter.requires_grad_(False)
    trained = [p for p in task.parameters() if p.requires_grad]
    before = snapshot(task)
    optimizer = ConflictAwareOptimizer(
        torch.optim.SGD(trained, lr=0.1), task.model, subnetworks_per_step=None
    )
    task.loop(optimizer, batches(1)[0])
    optimizer.step()
    changed = {name for name, p in task.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name, p in task.named_parameters() if p.requires_grad}


def tied_task() -> Task:
    """Two layers that share one weight, each with scores of its own."""
    task = Task()

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(64, 64), nn.Linear(64, 64)
            self.other.weight = self.one.weight
            self.head = nn.Linear(64, 4)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.other(self.one(images.flatten(1)).relu()))

        def get_classifier(self) -> nn.Module:
            return self.head

    task.model = prunnet.make_prunable(Tied(), initial_scores="uniform")
    return task


def test_tied_weights_gather_the_gradients_of_both_layers() -> None:
    task = tied_task()
    [images] = batches(1)
    by_hand = task.rows_by_hand(images)
    task.loop(task.optimizer(integration=Sum()), images)
    for name in ("model.one.weight", "model.one.scores", "model.other.scores"):
        expected = sum(by_hand[name])
        torch.testing.assert_close(task.gradients()[name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("capacity", [1.0, 0.4])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("inner", [torch.optim.SGD, torch.optim.AdamW])
def test_a_gradient_that_is_not_finite_skips_the_step(
    task: Task, inner: type, value: float, capacity: float
) -> None:
    kwargs = {"momentum": 0.9} if inner is torch.optim.SGD else {}
    optimizer = ConflictAwareOptimizer(
        inner(task.parameters(), lr=0.01, **kwargs), task.model, subnetworks_per_step=None
    )
    images = batches(3)
    task.loop(optimizer, images[0])
    optimizer.step()
    for current in optimizer.capacities():
        task.loss(images[1]).backward()
        if current == capacity:
            task.model.conv2._parameters["weight"].grad[0, 0, 0, 0] = value
    before, state = snapshot(task), copy.deepcopy(optimizer.state_dict()["state"])
    message = (
        rf"Step skipped: the gradient of `conv2\.weight` at capacity {capacity:g} is not finite"
    )
    with pytest.warns(RuntimeWarning, match=message) as caught:
        optimizer.step()
    assert caught[0].filename == __file__
    assert optimizer.skipped_steps == 1
    assert_equal_states(task, before)
    after = optimizer.state_dict()["state"]
    assert all(torch.equal(after[i][key], state[i][key]) for i in state for key in state[i])
    task.loop(optimizer, images[2])
    optimizer.step()
    assert optimizer.skipped_steps == 1
    assert all(p.isfinite().all() for p in task.parameters())
    assert not torch.equal(task.model.conv2._parameters["weight"], before["model.conv2.weight"])


def test_a_loss_parameter_that_is_not_finite_is_reported_as_such(task: Task) -> None:
    optimizer = task.optimizer()
    for current in optimizer.capacities():
        task.loss(batches(1)[0]).backward()
        if current == 1:
            task.classes.grad[0] = float("nan")
    torch.optim.lr_scheduler.StepLR(optimizer, 1)  # wraps step()
    message = "the gradient of `a loss parameter` at capacity 1"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        optimizer.step()
    assert caught[0].filename == __file__


@pytest.mark.parametrize("inner", [torch.optim.SGD, torch.optim.AdamW])
def test_a_fused_optimizer_skips_by_itself(task: Task, inner: type) -> None:
    fused = inner(task.parameters(), lr=0.1, fused=True)
    optimizer = ConflictAwareOptimizer(fused, task.model, subnetworks_per_step=None)
    one, other = batches(2)
    before = snapshot(task)
    for current in optimizer.capacities():
        (task.loss(one) * (float("nan") if current == 0.4 else 1)).backward()
    parameters = {name: before[name] for name, _ in task.named_parameters()}
    optimizer.step()
    for name, parameter in task.named_parameters():
        assert torch.equal(parameter, parameters[name]), name
    task.loop(optimizer, other)
    optimizer.step()
    assert not torch.equal(task.classes, parameters["classes"])


def test_at_most_one_set_of_gradients_is_alive(task: Task) -> None:
    """Those of the last step make room for the next step's, capacity by capacity."""
    optimizer = task.optimizer()
    rows: list[weakref.ref] = []

    def alive() -> int:
        return sum(reference() is not None for reference in rows)

    for _ in range(3):
        for _ in optimizer.capacities():
            task.loss(torch.randn(6, 1, 8, 8)).backward()
            scores = prunnet.score_parameters(task.model)
            rows.extend(weakref.ref(parameter.grad) for parameter in scores)
            assert alive() <= len(CAPACITIES) * len(scores)
        optimizer.step()
    assert alive() == len(CAPACITIES) * len(scores)
    optimizer.zero_grad()
    assert alive() == 0


def test_a_wrapped_optimizer_is_not_wrapped_again(task: Task) -> None:
    with pytest.raises(ValueError, match="Found one wrapped already"):
        ConflictAwareOptimizer(task.optimizer(), task.model)


def test_lbfgs_is_refused(task: Task) -> None:
    with pytest.raises(ValueError, match=r"without a closure\. Found LBFGS"):
        task.optimizer(torch.optim.LBFGS)


def test_parts_that_train_other_capacities_are_refused() -> None:
    parts = nn.ModuleList(
        [prunnet.make_prunable(TinyEmbedder(), capacities) for capacities in ((0.5,), (0.2, 0.4))]
    )
    sgd = torch.optim.SGD(parts.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"Found \(0\.4, 0\.2\) and \(0\.5,\)"):
        ConflictAwareOptimizer(sgd, parts)


def test_a_loop_that_sets_another_capacity_is_refused(task: Task) -> None:
    optimizer = task.optimizer()
    with pytest.raises(RuntimeError, match=r"at capacity 0\.8\. Found 0\.3"):
        for capacity in optimizer.capacities():
            if capacity == 0.8:
                prunnet.set_capacity(task.model, 0.3)
            task.loss(batches(1)[0]).backward()


@pytest.mark.parametrize("before", [True, False])
def test_the_head_of_a_frozen_network_is_trained_by_all_capacities(before: bool) -> None:
    """Frozen before make_prunable or after it: scores follow."""
    task, plain = Task(), TinyEmbedder()
    body = [p for name, p in plain.named_parameters() if not name.startswith("head")]
    if before:
        for parameter in body:
            parameter.requires_grad_(False)
    task.model = prunnet.make_prunable(plain)
    if not before:
        for name, parameter in task.model.named_parameters():
            parameter.requires_grad_(name.startswith("head"))
    assert not any(score.requires_grad for score in prunnet.score_parameters(task.model))
    trained = [p for p in task.parameters() if p.requires_grad]
    optimizer, images = (
        ConflictAwareOptimizer(
            torch.optim.SGD(trained, lr=0.1), task.model, subnetworks_per_step=None
        ),
        batches(1)[0],
    )
    total = torch.zeros_like(plain.head.weight)
    twin = copy.deepcopy(task)
    for capacity in CAPACITIES:  # running averages aside, norms take those of the batch
        with prunnet.capacity(twin.model, capacity):
            total += torch.autograd.grad(twin.loss(images), twin.model.head.weight)[0]
    task.loop(optimizer, images)
    torch.testing.assert_close(task.model.head.weight.grad, total)
    optimizer.step()


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_goes_on_as_the_original_does(task: Task, how: str) -> None:
    optimizer, images = task.optimizer(torch.optim.Adam), batches(4)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)  # which replaces the optimizer's `step`
    optimizer.register_step_post_hook(lambda *_: None)

    def train(task: Task, optimizer: ConflictAwareOptimizer, images: list[Tensor]) -> None:
        for batch in images:
            task.loop(optimizer, batch)
            optimizer.step()

    train(task, optimizer, images[:2])
    both = task, optimizer
    copied, twin = copy.deepcopy(both) if how == "deepcopy" else pickle.loads(pickle.dumps(both))
    assert twin.param_groups is twin.optimizer.param_groups
    train(task, optimizer, images[2:])
    train(copied, twin, images[2:])
    assert_equal_states(copied, task.state_dict())


def test_a_capacity_whose_network_got_no_gradient_is_told(task: Task) -> None:
    """Even where class weights, which no subnetwork moves alone, got one."""
    optimizer, images = task.optimizer(), batches(1)[0]
    with pytest.raises(RuntimeError, match=r"Found no gradient at capacity 0\.4"):
        for capacity in optimizer.capacities():
            embeddings = task.model(images)
            embeddings = embeddings.detach() if capacity == 0.4 else embeddings
            (embeddings @ task.classes).square().sum().backward()


def test_an_aggregator_takes_layers_of_several_types() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8).bfloat16())
    model = prunnet.make_prunable(network)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer = ConflictAwareOptimizer(
        sgd, model, lambda matrix: matrix.mean(0), subnetworks_per_step=None
    )
    for _ in optimizer.capacities():
        model[1](model[0](torch.randn(3, 4)).bfloat16()).sum().backward()
    assert model[1]._parameters["weight"].grad.dtype == torch.bfloat16
    optimizer.step()


def test_autocast_around_the_loop_leaves_the_integration_alone(task: Task) -> None:
    """Lightning and Accelerate put a whole training step into autocast."""
    images = torch.randn(6, 1, 8, 8)
    found = []
    for outside in (False, True):
        optimizer = task.optimizer()
        with torch.autocast("cpu", torch.bfloat16, enabled=outside):
            for _ in optimizer.capacities():
                with torch.autocast("cpu", enabled=False):
                    task.loss(images).backward()
        found.append([p.grad.clone() for p in task.parameters() if p.grad is not None])
        optimizer.zero_grad()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("count", [None, 1])
def test_another_default_device_leaves_a_step_alone(count: int | None) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 4))
    model = prunnet.make_prunable(model, filter_fn=lambda *_: True)  # 16,384: by histogram
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer = ConflictAwareOptimizer(sgd, model, subnetworks_per_step=count)
    images, labels = torch.randn(6, 1, 8, 8), torch.arange(6) % 4
    with torch.device("meta"):
        for _ in optimizer.capacities():
            nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_loss_of_another_network_than_the_one_that_trains_is_told(task: Task) -> None:
    """A cell of a notebook was run again, and the loss was not made anew."""
    loss_func = prunnet.CompatibleLoss(ArcFaceLoss(3, 4), copy.deepcopy(task.model))
    optimizer, images = task.optimizer(), torch.randn(6, 1, 8, 8)
    with pytest.raises(RuntimeError, match=r"`model` of a loss or miner should be the network"):
        for _ in optimizer.capacities():
            loss_func(task.model(images), torch.arange(6) % 3).backward()
    assert prunnet.get_capacity(task.model) == 1


def test_a_loss_of_another_network_may_be_looked_at(task: Task) -> None:
    """That of a moving average, say, inside of the loop."""
    average = copy.deepcopy(task.model)
    watched = prunnet.CompatibleLoss(ArcFaceLoss(3, 4), average)
    optimizer, images, labels = task.optimizer(), torch.randn(6, 1, 8, 8), torch.arange(6) % 3
    for _ in optimizer.capacities():
        task.loss(images).backward()
        with torch.no_grad():
            assert watched(average(images), labels) > 0
