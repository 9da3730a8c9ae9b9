"""What a trainer does around the step goes on working: mixed precision, clipping, schedules, ..."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator

import pytest
import torch
from networks import TinyEmbedder, assert_equal_states, snapshot
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import Tensor, nn

import prunnet_pml as prunnet

CLASSES = 3


def batches(count: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Three patterns under noise: batch ``i`` is the same whenever it is drawn."""
    patterns = torch.randn(CLASSES, 1, 8, 8, generator=torch.Generator().manual_seed(99))
    for index in range(start, start + count):
        generator = torch.Generator().manual_seed(index)
        labels = torch.arange(12) % CLASSES
        yield patterns[labels] + 0.7 * torch.randn(12, 1, 8, 8, generator=generator), labels


def sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-4)


def adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=0.01)


class Trainer:
    """The training loop of the README."""

    def __init__(self, inner: object = sgd, shared: str = "dense") -> None:
        torch.manual_seed(0)
        self.model = prunnet.make_prunable(TinyEmbedder())
        self.loss_func = prunnet.CompatibleLoss(NormalizedSoftmaxLoss(CLASSES, 4), self.model)
        self.parameters = [*self.model.parameters(), *self.loss_func.parameters()]
        self.optimizer = prunnet.ConflictAwareOptimizer(
            inner(self.parameters), self.model, shared=shared
        )

    def loop(self, images: Tensor, labels: Tensor) -> None:
        for _ in self.optimizer.capacities():
            self.loss_func(self.model(images), labels).backward()

    def train(self, steps: int, start: int = 0) -> None:
        for images, labels in batches(steps, start):
            self.loop(images, labels)
            self.optimizer.step()

    def losses(self) -> dict[float, float]:
        """The plain loss of unseen batches at every capacity."""
        found = {}
        with torch.no_grad():
            for capacity in (1.0, *prunnet.trained_capacities(self.model)):
                pruned = prunnet.prune(self.model, capacity)
                losses = [
                    self.loss_func.loss(pruned(images), labels)
                    for images, labels in batches(4, 1000)
                ]
                found[capacity] = torch.stack(losses).mean().item()
        return found


@pytest.mark.parametrize("inner", [sgd, adamw])
@pytest.mark.parametrize("shared", ["dense", "sum"])
def test_every_capacity_learns(inner: object, shared: str) -> None:
    trainer = Trainer(inner, shared)
    before = trainer.losses()
    trainer.train(40)
    after = trainer.losses()
    assert all(after[capacity] < 0.5 * before[capacity] for capacity in before), (before, after)


def test_bf16_autocast_leaves_float32_parameters_and_nearly_the_same_gradients() -> None:
    """Around the whole loop, so that autocast's cache of weights sees every capacity."""
    exact, trainer = Trainer(), Trainer()
    [(images, labels)] = batches(1)
    exact.loop(images, labels)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in trainer.optimizer.capacities():
            embeddings = trainer.model(images)
            assert embeddings.dtype == torch.bfloat16
            trainer.loss_func(embeddings, labels).backward()
    found, expected = (
        torch.cat([p.grad.flatten() for p in run.parameters]) for run in (trainer, exact)
    )
    assert nn.functional.cosine_similarity(found, expected, dim=0) > 0.98
    assert found.dtype == torch.float32
    assert {parameter.dtype for parameter in trainer.parameters} == {torch.float32}
    trainer.optimizer.step()
    trainer.train(1, 1)


def test_autocast_does_not_cache_the_weights_of_another_capacity() -> None:
    model = Trainer().model.eval()
    [(images, _)] = batches(1)
    expected = {}
    for capacity in (1.0, 0.6, 0.2):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            prunnet.set_capacity(model, capacity)
            expected[capacity] = model(images)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for capacity in (0.2, 1.0, 0.6, 1.0):
            prunnet.set_capacity(model, capacity)
            assert torch.equal(model(images), expected[capacity])


def scaled_step(trainer: Trainer, scaler: torch.amp.GradScaler, index: int, clip: bool) -> None:
    [(images, labels)] = batches(1, index)
    for _ in trainer.optimizer.capacities():
        scaler.scale(trainer.loss_func(trainer.model(images), labels)).backward()
    if clip:
        scaler.unscale_(trainer.optimizer)
        nn.utils.clip_grad_norm_(trainer.parameters, 0.5)
    scaler.step(trainer.optimizer)
    scaler.update()


@pytest.mark.parametrize("clip", [False, True], ids=["plain", "unscaled and clipped"])
@pytest.mark.parametrize("inner", [sgd, adamw])
def test_a_grad_scaler_changes_nothing_but_the_scale(inner: object, clip: bool) -> None:
    """Integration is homogeneous, and a power of two loses no bit."""
    scaled, plain = Trainer(inner), Trainer(inner)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for index in range(3):
        scaled_step(scaled, scaler, index, clip)
        [(images, labels)] = batches(1, index)
        plain.loop(images, labels)
        if clip:
            nn.utils.clip_grad_norm_(plain.parameters, 0.5)
        plain.optimizer.step()
    for one, other in zip(scaled.parameters, plain.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("clip", [False, True], ids=["plain", "unscaled and clipped"])
@pytest.mark.parametrize("inner", [sgd, adamw])
def test_a_step_that_the_grad_scaler_skips_is_as_if_it_had_not_been(
    inner: object, clip: bool
) -> None:
    trainer, twin = Trainer(inner), Trainer(inner)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaled_step(trainer, scaler, 0, clip)
    scaled_step(twin, scaler_twin := torch.amp.GradScaler("cpu", init_scale=1024.0), 0, clip)

    before = snapshot(trainer.model)
    state = copy.deepcopy(trainer.optimizer.state_dict()["state"])
    scaler.update(3e38)  # overflows
    scaled_step(trainer, scaler, 1, clip)
    assert scaler.get_scale() < 3e38
    assert trainer.optimizer.skipped_steps == 1
    parameters = dict(trainer.model.named_parameters())
    assert all(torch.equal(parameters[name], before[name]) for name in parameters)
    after = trainer.optimizer.state_dict()["state"]
    assert all(torch.equal(after[i][key], state[i][key]) for i in state for key in state[i])

    scaler.update(1024.0)
    with torch.no_grad():  # forwards moved the norm statistics, and a draw was used up
        for key, value in trainer.model.state_dict().items():
            value.copy_(before[key])
    trainer.optimizer._steps -= 1
    for index in (2, 3):
        scaled_step(trainer, scaler, index, clip)
        scaled_step(twin, scaler_twin, index, clip)
    assert_equal_states(trainer.model, snapshot(twin.model))


def test_clipping_after_the_loop_acts_on_the_integrated_gradient() -> None:
    trainer = Trainer(lambda parameters: torch.optim.SGD(parameters, lr=1.0))
    [(images, labels)] = batches(1)
    trainer.loop(images, labels)
    norm = nn.utils.get_total_norm([p.grad for p in trainer.parameters])
    before = [p.detach().clone() for p in trainer.parameters]
    assert torch.equal(nn.utils.clip_grad_norm_(trainer.parameters, norm.item() / 10), norm)
    trainer.optimizer.step()
    moved = nn.utils.get_total_norm(
        [p.detach() - old for p, old in zip(trainer.parameters, before, strict=True)]
    )
    assert moved.item() == pytest.approx(norm.item() / 10, rel=1e-3)


def test_clipping_inside_of_the_loop_acts_on_each_capacity() -> None:
    trainer = Trainer()
    norms = []

    class Watching(prunnet.ConflictAware):
        def __call__(self, gradients: object, generator: torch.Generator) -> list[Tensor]:
            rows = zip(*gradients, strict=True)
            norms.extend(nn.utils.get_total_norm(row).item() for row in rows)
            return super().__call__(gradients, generator)

    trainer.optimizer.integration = Watching()
    [(images, labels)] = batches(1)
    for _ in trainer.optimizer.capacities():
        trainer.loss_func(trainer.model(images), labels).backward()
        nn.utils.clip_grad_norm_(trainer.model.parameters(), 1e-3)
    assert len(norms) == 2
    assert max(norms) <= 1.001e-3


@pytest.mark.parametrize("of", ["wrapper", "wrapped"])
@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.1),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10),
    ],
    ids=["step", "one-cycle", "cosine"],
)
def test_a_schedule_moves_the_learning_rate_and_does_not_warn(schedule: object, of: str) -> None:
    trainer, reference = Trainer(), sgd([nn.Parameter(torch.zeros(1))])
    optimizer = trainer.optimizer if of == "wrapper" else trainer.optimizer.optimizer
    scheduler, expected = schedule(optimizer), schedule(reference)
    for index in range(4):
        trainer.train(1, index)
        scheduler.step()
        reference.step()
        expected.step()
        assert scheduler.get_last_lr() == expected.get_last_lr()
        assert trainer.optimizer.param_groups[0]["lr"] == reference.param_groups[0]["lr"]
        assert trainer.optimizer.optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0]


class Run(Trainer):
    """A run with everything that has a state."""

    def __init__(self, inner: object) -> None:
        super().__init__(inner)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, 0.05, total_steps=20, cycle_momentum=False
        )
        self.parts = {
            "model": self.model,
            "loss": self.loss_func,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
        }

    def go(self, first: int, last: int) -> None:
        for index in range(first, last):
            self.train(1, index)
            self.scheduler.step()

    def save(self) -> io.BytesIO:
        stream = io.BytesIO()
        torch.save({name: part.state_dict() for name, part in self.parts.items()}, stream)
        stream.seek(0)
        return stream

    def load(self, stream: io.BytesIO) -> None:
        for name, state in torch.load(stream, weights_only=True).items():
            self.parts[name].load_state_dict(state)


@pytest.mark.parametrize("inner", [sgd, adamw])
def test_a_run_resumes_to_the_bit(inner: object) -> None:
    straight, first, second = Run(inner), Run(inner), Run(inner)
    straight.go(0, 7)
    first.go(0, 3)
    second.go(10, 11)  # a run that stood elsewhere
    second.load(first.save())
    second.go(3, 7)
    assert_equal_states(second.model, snapshot(straight.model))
    assert_equal_states(second.loss_func, snapshot(straight.loss_func))
    one, other = second.optimizer.state_dict(), straight.optimizer.state_dict()
    assert one["param_groups"] == other["param_groups"]
    assert one["prunnet"] == other["prunnet"]
    for index, state in other["state"].items():
        for key, value in state.items():
            equal = torch.equal if isinstance(value, Tensor) else (lambda a, b: a == b)
            assert equal(one["state"][index][key], value), (index, key)


def test_evaluating_between_steps_leaves_no_mark() -> None:
    """Neither on the parameters nor on the statistics nor on what is drawn."""
    watched, plain = Trainer(), Trainer()
    for index in range(3):
        watched.train(1, index)
        plain.train(1, index)
        watched.losses()
        watched.model.eval()
        for capacity in (0.2, 0.5):
            with torch.inference_mode(), prunnet.capacity(watched.model, capacity):
                watched.model(next(batches(1))[0])
        watched.model.train()
    assert_equal_states(watched.model, snapshot(plain.model))
