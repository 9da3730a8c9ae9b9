"""On an accelerator all is as on the CPU, and a training step waits for nothing.

``test_devices.py`` runs this in a process of its own: on a pretended device, and on a GPU.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import mmengine.runner
import pytest
import timm
import torch
from loss_table import OURS, PML, SPACES, WITHOUT_LABELS, build
from mmengine_runs import config, forget_runs, train
from networks import TinyEmbedder
from pytorch_metric_learning.losses import ContrastiveLoss, CrossBatchMemory, NormalizedSoftmaxLoss
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import prunnet_pml as prunnet
from prunnet_pml import masks
from prunnet_pml.datasets.distortion import MILD
from prunnet_pml.inference import AsymmetricInference
from prunnet_pml.losses.spaces import why_not
from prunnet_pml.slimmable import make_slimmable, set_width
from prunnet_pml.testers import CompatibilityTester
from prunnet_pml.trainers import PrunableMetricLossOnly

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:mmengine"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:mmengine"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning"),  # a prototype
]

DEVICE = os.environ["PRUNNET_PML_DEVICE"]
CAPACITIES = (0.6, 0.3)
OF_PML = [name for name in PML if name not in (*WITHOUT_LABELS, "HistogramLoss")]
"""Of labels, and without one that indexes as torch does with plain tensors only."""


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The device is there, and multiplies in float32 as a CPU does."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    device: AbstractContextManager[list[str]] = nullcontext([])
    if DEVICE == "pretended":  # which not every torch can
        from pretended_gpu import pretended_gpu

        device = pretended_gpu()
    with device as found:
        yield found


@contextmanager
def no_wait(waits: list[str]) -> Iterator[None]:
    """Fails where the host waits for the device."""
    waits.clear()
    try:
        if DEVICE == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        if DEVICE == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert waits == []


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


MIXED = {
    "two devices": lambda x: x + torch.ones(3),
    "an index of the device": lambda x: torch.ones(3)[x.long()],
    "values of the CPU": lambda x: x.index_put_((torch.tensor([0, 1]),), torch.ones(2)),
    "a generator of the CPU": lambda x: x.uniform_(generator=torch.Generator()),
}
WAITING = {
    "item": lambda x: x[0].item(),
    "tolist": lambda x: x.tolist(),
    "mask": lambda x: x[x > 0],
    "values of a mask": lambda x: x.masked_select(x > 0),
    "nonzero": lambda x: x.nonzero(),
    "equal": lambda x: x.equal(x.clone()),
    "to the host": lambda x: x.cpu(),
    "to the device": lambda x: torch.ones(3).to(x.device),
    "a number": lambda x: torch.tensor(1.0, device=x.device),
    "repeats": lambda x: x.repeat_interleave(x.long()),
}


@pytest.mark.parametrize("mix", MIXED.values(), ids=MIXED)
def test_the_device_mixes_with_no_other(mix: Callable[[Tensor], Any]) -> None:
    with pytest.raises(RuntimeError):
        mix(torch.ones(3).to(DEVICE))


@pytest.mark.parametrize("wait", WAITING.values(), ids=WAITING)
def test_the_device_says_what_waits(waits: list[str], wait: Callable[[Tensor], Any]) -> None:
    numbers = torch.ones(3).to(DEVICE)
    with pytest.raises((RuntimeError, AssertionError)), no_wait(waits):
        wait(numbers)


@pytest.mark.parametrize("numel", [1, 7, 100, 30_000])
def test_masks_are_the_cpus_to_the_bit(numel: int) -> None:
    scores = torch.randn(numel)
    for capacity in (0.9, 0.5, 0.2):
        assert masks.kept(scores.to(DEVICE), capacity).cpu().equal(masks.kept(scores, capacity))


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
    for device in ("cpu", DEVICE):
        training = Training(device, integration)
        training.step()
        gradients[device] = {name: p.grad.cpu() for name, p in training.model.named_parameters()}
    for name, gradient in gradients["cpu"].items():
        torch.testing.assert_close(
            gradients[DEVICE][name], gradient, rtol=1e-3, atol=1e-5, msg=name
        )


def test_a_step_waits_for_nothing(waits: list[str]) -> None:
    """With the losses of the README; the fused optimizer decides on the device about the step."""
    training = Training(DEVICE, fused=True)
    training.step()
    with no_wait(waits):
        training.step()


@pytest.mark.skipif(DEVICE == "pretended", reason="it multiplies in float32")
def test_float16_with_a_loss_scale_skips_a_step_that_overflows() -> None:
    training = Training(DEVICE)
    scaler = torch.amp.GradScaler(DEVICE, init_scale=2.0**40)
    head = dict(training.model.named_parameters())["head.weight"]
    moved = []
    for _ in range(60):
        before = head.detach().clone()
        for _ in training.optimizer.capacities():
            with torch.autocast(DEVICE, torch.float16):
                loss = training.loss(training.model(training.images), training.labels)
            scaler.scale(loss).backward()
        scaler.step(training.optimizer)
        scaler.update()
        moved.append(not before.equal(head))
    assert not moved[0]
    assert moved[-1]
    assert scaler.get_scale() < 2.0**40


@pytest.mark.parametrize("name", [*OURS, *OF_PML])
def test_a_loss_is_the_cpus(name: str) -> None:
    """In every space that it fits, of the dense pass and of a subnetwork's."""
    dense, masked = (torch.randn(6, 4, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    found: dict[str, list[Tensor]] = {"cpu": [], DEVICE: []}
    for device, values in found.items():
        model = prunnet.make_prunable(TinyEmbedder(), CAPACITIES).to(device)
        labels = LABELS[:6].to(device)
        for space in SPACES:
            torch.manual_seed(0)
            loss = build(name)
            if why_not(loss, space):
                continue
            compatible = prunnet.CompatibleLoss(loss.to(device), model, space)
            values.append(compatible(dense.to(device), labels).detach().cpu())
            with prunnet.capacity(model, 0.6):
                values.append(compatible(masked.to(device), labels).detach().cpu())
    for ours, expected in zip(found[DEVICE], found["cpu"], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_memory_of_batches_takes_labels_from_the_cpu() -> None:
    model = prunnet.make_prunable(TinyEmbedder(), CAPACITIES).to(DEVICE)
    memory = CrossBatchMemory(ContrastiveLoss(), 4, memory_size=24)
    compatible = prunnet.CompatibleLoss(memory, model, "embedding")
    embeddings = torch.randn(12, 4).to(DEVICE)
    dense = compatible(embeddings, LABELS)
    with prunnet.capacity(model, 0.6):
        assert compatible(embeddings, LABELS).isfinite().item()
    assert dense.isfinite().item()


def test_a_slimmable_network_is_made_where_its_network_is() -> None:
    network = timm.create_model("test_resnet", in_chans=1, num_classes=4).to(DEVICE)
    model = make_slimmable(network, (1.0, *CAPACITIES))
    for capacity in (1.0, *CAPACITIES):
        set_width(model, capacity)
        assert model(images().to(DEVICE)).device.type == DEVICE


def test_images_are_distorted_as_on_the_cpu() -> None:
    """By the draws of a generator of the CPU."""
    ours, expected = (
        MILD(images().to(device), torch.Generator().manual_seed(3)).cpu()
        for device in (DEVICE, "cpu")
    )
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_calibrating_pruning_and_evaluating_take_images_from_the_cpu() -> None:
    found = {}
    for device in ("cpu", DEVICE):
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
    for ours, expected in zip(found[DEVICE], found["cpu"], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


def test_a_state_moves_between_devices(tmp_path: Path) -> None:
    training = Training(DEVICE)
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
        TinyEmbedder().to(DEVICE),
        CAPACITIES,
        granularity="channel",
        example_input=images().to(DEVICE),
    )
    model.eval()
    with prunnet.capacity(model, 0.3):
        expected = model(images().to(DEVICE))
    student = prunnet.prune(model, 0.3)
    torch.testing.assert_close(student(images().to(DEVICE)), expected, rtol=1e-3, atol=1e-5)


def test_pytorch_metric_learning_trains_tests_and_searches(tmp_path: Path) -> None:
    """It sends images to a GPU where there is one."""
    training, where = Training(DEVICE), {"data_device": torch.device(DEVICE)}
    dataset = TensorDataset(images(), LABELS)
    trunk, embedder = training.model, nn.Identity()
    trainer = PrunableMetricLossOnly(
        models={"trunk": trunk, "embedder": embedder},
        optimizers={"trunk_optimizer": training.optimizer},
        batch_size=6,
        loss_funcs={"metric_loss": training.loss},
        dataset=dataset,
        dataloader_num_workers=0,
        **where,
    )
    trainer.train(num_epochs=1)
    tester = CompatibilityTester(capacities=CAPACITIES, dataloader_num_workers=0, **where)
    tester.test({"val": dataset}, 1, trunk, embedder)
    assert 0 <= tester.matrices["val"][0].value("recall_at_1", 0.3, 1.0) <= 1
    server = AsymmetricInference(trunk, **where)
    server.train_knn(dataset)
    server.save_knn_func(tmp_path / "gallery.index")
    student = prunnet.prune(trunk, 0.3)
    space = prunnet.space_id(trunk)
    phone = AsymmetricInference(student, capacity=0.3, space_id=space, **where)
    phone.load_knn_func(tmp_path / "gallery.index")
    _, found = phone.get_nearest_neighbors(images()[:2], k=3)
    assert found.shape == (2, 3)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_mmengine_trains_and_evaluates(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if DEVICE == "pretended":
        if dtype != "float32":
            pytest.skip("mmengine's AMP asks for a GPU")
        monkeypatch.setattr(mmengine.runner.runner, "get_device", lambda: DEVICE)
    hook = {"type": "prunnet_pml.NormCalibrationHook", "capacities": [0.1]}
    changes: dict[str, Any] = {"default_hooks.norms": hook}
    if dtype != "float32":
        wrapper = "prunnet_pml.ConflictAwareAmpOptimWrapper"
        changes |= {"optim_wrapper.type": wrapper, "optim_wrapper.dtype": dtype}
    try:
        runner = train(config(tmp_path, **changes))
    finally:
        forget_runs()
    assert {parameter.device.type for parameter in runner.model.parameters()} == {DEVICE}
    assert all(parameter.isfinite().all() for parameter in runner.model.parameters())
