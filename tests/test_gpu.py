"""On a GPU all is as on the CPU, and a training step waits for nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine_runs import config, forget_runs, train
from networks import TinyEmbedder
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import prunnet_pml as prunnet
from prunnet_pml import masks
from prunnet_pml.inference import AsymmetricInference
from prunnet_pml.testers import CompatibilityTester
from prunnet_pml.trainers import PrunableMetricLossOnly

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:mmengine"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:mmengine"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning"),  # a prototype
]

CAPACITIES = (0.6, 0.3)


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Products in float32, as a CPU's."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = allowed


def images() -> Tensor:
    return torch.rand(12, 1, 16, 16, generator=torch.Generator().manual_seed(1))


LABELS = torch.arange(12) % 3


class Training:
    """A prunable network with all that trains it, on a device."""

    def __init__(self, device: str, integration: Any = None, **adamw: Any) -> None:  # noqa: ANN401
        torch.manual_seed(0)
        self.model = prunnet.make_prunable(TinyEmbedder(), CAPACITIES).to(device)
        self.loss = prunnet.CompatibleLoss(NormalizedSoftmaxLoss(3, 4), self.model).to(device)
        parameters = [*self.model.parameters(), *self.loss.parameters()]
        adamw = torch.optim.AdamW(parameters, 1e-2, **adamw)
        self.optimizer = prunnet.ConflictAwareOptimizer(adamw, self.model, integration)
        self.images, self.labels = images().to(device), LABELS.to(device)

    def step(self) -> None:
        for _ in self.optimizer.capacities():
            self.loss(self.model(self.images), self.labels).backward()
        self.optimizer.step()


@pytest.mark.parametrize("numel", [1, 7, 100, 30_000])
def test_masks_are_the_cpus_to_the_bit(numel: int) -> None:
    scores = torch.randn(numel)
    for capacity in (0.9, 0.5, 0.2):
        assert masks.kept(scores.cuda(), capacity).cpu().equal(masks.kept(scores, capacity))


@pytest.mark.parametrize(
    "integration",
    [
        prunnet.ConflictAware(),
        prunnet.ConflictAware(per_filter=False),
        prunnet.ConflictAware("last"),
        prunnet.PCGrad(),
        prunnet.Sum(),
    ],
    ids=["filters", "tensors", "last", "pcgrad", "sum"],
)
def test_a_step_is_the_cpus(integration: Any) -> None:  # noqa: ANN401
    """Also its random orders, which are drawn on the CPU."""
    gradients = {}
    for device in ("cpu", "cuda"):
        training = Training(device, integration)
        training.step()
        gradients[device] = {name: p.grad.cpu() for name, p in training.model.named_parameters()}
    for name, gradient in gradients["cpu"].items():
        torch.testing.assert_close(
            gradients["cuda"][name], gradient, rtol=1e-3, atol=1e-5, msg=name
        )


def test_a_step_waits_for_nothing() -> None:
    """A loss may: this one doesn't."""
    training = Training("cuda", fused=True)
    training.loss = lambda embeddings, _: embeddings.square().mean()
    training.step()
    try:
        torch.cuda.set_sync_debug_mode("error")
        training.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_float16_with_a_loss_scale_skips_a_step_that_overflows() -> None:
    training = Training("cuda")
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**40)
    head = dict(training.model.named_parameters())["head.weight"]
    moved = []
    for _ in range(60):
        before = head.detach().clone()
        for _ in training.optimizer.capacities():
            with torch.autocast("cuda", torch.float16):
                loss = training.loss(training.model(training.images), training.labels)
            scaler.scale(loss).backward()
        scaler.step(training.optimizer)
        scaler.update()
        moved.append(not before.equal(head))
    assert not moved[0]
    assert moved[-1]
    assert scaler.get_scale() < 2.0**40


def test_calibrating_pruning_and_evaluating_take_images_from_the_cpu() -> None:
    found = {}
    for device in ("cpu", "cuda"):
        training = Training(device)
        prunnet.calibrate(training.model, [images()], [0.1, 0.3, 0.5, 1.0])
        student = prunnet.prune(training.model, 0.5)
        tiny = prunnet.prune(training.model, 0.15, calibration=[images()])
        assert {p.device.type for p in (*student.parameters(), *tiny.parameters())} == {device}
        matrix = prunnet.evaluate(training.model, (images(), LABELS), capacities=(0.3, 1.0))
        found[device] = [
            student(images().to(device)).detach().cpu(),
            tiny(images().to(device)).detach().cpu(),
            torch.tensor(matrix.value("recall_at_1", 0.3, 1.0)),
        ]
    for ours, expected in zip(found["cuda"], found["cpu"], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


def test_a_state_moves_between_devices(tmp_path: Path) -> None:
    training = Training("cuda")
    training.step()
    prunnet.calibrate(training.model, [images()], [0.1, 0.3, 1.0])
    state = {"model": training.model.state_dict(), "optimizer": training.optimizer.state_dict()}
    torch.save(state, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", map_location="cpu", weights_only=True)
    other = Training("cpu")
    other.model.load_state_dict(loaded["model"])
    other.optimizer.load_state_dict(loaded["optimizer"])
    other.step()
    for capacity in (1.0, 0.3, 0.1):
        theirs = prunnet.prune(copy.deepcopy(training.model).cpu(), capacity)
        moved = prunnet.prune(training.model, capacity).cpu()
        assert theirs(images()).equal(moved(images()))


def test_a_channel_network_is_pruned_where_it_is() -> None:
    model = prunnet.make_prunable(
        TinyEmbedder().cuda(), CAPACITIES, granularity="channel", example_input=images().cuda()
    )
    model.eval()
    with prunnet.capacity(model, 0.3):
        expected = model(images().cuda())
    student = prunnet.prune(model, 0.3)
    torch.testing.assert_close(student(images().cuda()), expected, rtol=1e-3, atol=1e-5)


def test_pytorch_metric_learning_trains_tests_and_searches(tmp_path: Path) -> None:
    """It sends images to a GPU where there is one."""
    training = Training("cuda")
    dataset = TensorDataset(images(), LABELS)
    trunk, embedder = training.model, nn.Identity()
    trainer = PrunableMetricLossOnly(
        models={"trunk": trunk, "embedder": embedder},
        optimizers={"trunk_optimizer": training.optimizer},
        batch_size=6,
        loss_funcs={"metric_loss": training.loss},
        dataset=dataset,
        dataloader_num_workers=0,
    )
    trainer.train(num_epochs=1)
    tester = CompatibilityTester(capacities=CAPACITIES, dataloader_num_workers=0)
    tester.test({"val": dataset}, 1, trunk, embedder)
    assert 0 <= tester.matrices["val"][0].value("recall_at_1", 0.3, 1.0) <= 1
    server = AsymmetricInference(trunk)
    server.train_knn(dataset)
    server.save_knn_func(tmp_path / "gallery.index")
    student = prunnet.prune(trunk, 0.3)
    phone = AsymmetricInference(student, capacity=0.3, space_id=prunnet.space_id(trunk))
    phone.load_knn_func(tmp_path / "gallery.index")
    _, found = phone.get_nearest_neighbors(images()[:2], k=3)
    assert found.shape == (2, 3)


@pytest.mark.parametrize(
    "wrapper",
    [
        {"type": "prunnet_pml.ConflictAwareOptimWrapper"},
        {"type": "prunnet_pml.ConflictAwareAmpOptimWrapper", "dtype": "float16"},
        {"type": "prunnet_pml.ConflictAwareAmpOptimWrapper", "dtype": "bfloat16"},
    ],
    ids=["float32", "float16", "bfloat16"],
)
def test_mmengine_trains_and_evaluates(tmp_path: Path, wrapper: dict[str, Any]) -> None:
    changes = {f"optim_wrapper.{name}": value for name, value in wrapper.items()}
    try:
        runner = train(config(tmp_path, **changes))
    finally:
        forget_runs()
    assert next(runner.model.parameters()).is_cuda
    assert all(parameter.isfinite().all() for parameter in runner.model.parameters())
