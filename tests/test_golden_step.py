"""One whole training step of the reference method, built from our parts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from golden_files import golden
from golden_step import CAPACITIES, GoldenEmbedder, load_recorded, recorded_name
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.integration import ConflictAware, Integrator
from prunnet_pml.losses import CompatibleLoss

CLIP = 100.0


class Classifier(nn.Module):
    """A Linear classifier on the un-normalised embedding, as a loss of the PML kind."""

    def __init__(self) -> None:
        super().__init__()
        self.projection_cls = nn.ModuleDict({"last_layer": nn.Linear(32, 10)})

    def forward(self, embeddings: Tensor, labels: Tensor, _: None = None) -> Tensor:
        return nn.functional.cross_entropy(self.projection_cls["last_layer"](embeddings), labels)


class RecordedOrders(Integrator):
    """The published code's integrator, with the permutations it drew."""

    def __init__(self, parameters: Sequence[str]) -> None:
        recording = golden("step_nf8_init")
        names = recording["param_order_of_shuffles"].tolist()
        rows = [names.index(recorded_name(name)) for name in parameters]
        self.orders = torch.from_numpy(recording["orders"]).long()[rows]

    def __call__(
        self, gradients: Sequence[Sequence[Tensor]], generator: torch.Generator
    ) -> list[Tensor]:
        n = len(gradients[0])
        return ConflictAware("last", epsilon=1e-8).integrate(
            gradients, self.orders[:, None].expand(-1, n, n)
        )


def clip_as_recorded(
    parameters: list[nn.Parameter], classifier: nn.Module, embeddings: Tensor, labels: Tensor
) -> float:
    """Clips a subnetwork's gradient; the reference's norm counts the class weights' unused one."""
    loss = classifier(embeddings.detach(), labels)
    unused = torch.autograd.grad(loss, list(classifier.parameters()))
    used = [p.grad for p in parameters if p.grad is not None]
    norm = nn.utils.get_total_norm([*used, *unused])
    nn.utils.clip_grads_with_norm_(parameters, CLIP, norm)
    return norm.item()


@pytest.fixture(scope="module")
def step() -> dict[str, object]:
    """Runs the step; what it saw and what it left."""
    recording = golden("step_nf8_init")
    images, labels = torch.from_numpy(recording["x"]), torch.from_numpy(recording["y"])
    head = ("last_layer", "last_bn")
    model = prunnet.make_prunable(
        GoldenEmbedder(), CAPACITIES, filter_fn=lambda _, name: not name.startswith(head)
    )
    loss_func = CompatibleLoss(Classifier(), model, alignment=0, contrast=0)
    load_recorded(model, recording)
    load_recorded(loss_func.loss, recording)
    decayed, biases = [], []
    for module in (model, loss_func):
        for name, parameter in module.named_parameters():
            (biases if name.endswith("last_layer.bias") else decayed).append(parameter)
    sgd = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 5e-4}, {"params": biases}], lr=0.1, momentum=0.9
    )
    optimizer = prunnet.ConflictAwareOptimizer(
        sgd, model, shared="dense", subnetworks_per_step=None
    )
    scored = {p for layer in prunnet.scored_layers(model).values() for p in layer.parameters()}
    names = [name for name, p in model.named_parameters() if p in scored]
    optimizer.integration = RecordedOrders(names)
    parameters = [*model.parameters(), *loss_func.parameters()]

    losses, norms = {}, {}
    for capacity in optimizer.capacities():
        embeddings = model(images)
        loss = loss_func(embeddings, labels)
        loss.backward()
        if capacity < 1:
            norms[capacity] = clip_as_recorded(parameters, loss_func.loss, embeddings, labels)
        losses[capacity] = loss.item()
    norms["integrated"] = nn.utils.clip_grad_norm_(parameters, CLIP).item()
    grads = {name: p.grad.clone() for name, p in model.named_parameters()}
    grads |= {name: p.grad.clone() for name, p in loss_func.loss.named_parameters()}
    optimizer.step()
    return {"model": model, "losses": losses, "norms": norms, "grads": grads}


def test_losses(step: dict) -> None:
    recorded = golden("step_nf8_init")["losses"].tolist()
    for capacity, expected in zip((*CAPACITIES, 1.0), recorded, strict=True):
        assert step["losses"][capacity] == pytest.approx(expected, abs=2e-6)


def test_norms_before_clipping(step: dict) -> None:
    recorded = golden("step_nf8_init")["norms"].tolist()
    for key, expected in zip((*CAPACITIES, "integrated"), recorded, strict=True):
        assert step["norms"][key] == pytest.approx(expected, rel=2e-6)


def test_integrated_gradients(step: dict) -> None:
    recorded = golden("step_nf8_grads")
    compared = 0
    for name, gradient in step["grads"].items():
        key = f"final/{recorded_name(name)}"
        if name == "last_layer.bias":  # its true gradient is 0: a batch norm follows
            continue
        expected = torch.from_numpy(recorded[key])
        assert (gradient - expected).norm() <= 1e-3 * expected.norm(), name
        compared += 1
    assert compared == len(recorded) - 1


def test_parameters_after_the_step(step: dict) -> None:
    recorded = golden("step_nf8_after")
    for name, parameter in step["model"].named_parameters():
        expected = torch.from_numpy(recorded[f"after/{recorded_name(name)}"])
        torch.testing.assert_close(parameter.detach(), expected, rtol=0, atol=5e-6, msg=name)


def test_dense_statistics_after_the_step(step: dict) -> None:
    """The reference moves them twice, by a second forward that it throws away."""
    init, after = golden("step_nf8_init"), golden("step_nf8_after")
    for name, buffer in step["model"].named_buffers():
        if name.endswith(("running_mean", "running_var")) and "capacity_" not in name:
            before = torch.from_numpy(init[f"init/{recorded_name(name)}"])
            twice = torch.from_numpy(after[f"after/{recorded_name(name)}"])
            again = 0.9 * buffer + 0.1 * (buffer - 0.9 * before) / 0.1
            torch.testing.assert_close(again, twice, rtol=0, atol=5e-6, msg=name)
