"""One argument changes, and the rest of the library goes on working: its own pages say how."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import networks
import pytest
import timm
import torch
from pytorch_metric_learning import losses, miners
from records import RecordKeeper
from test_docs import run_blocks
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import prunnet_pml as prunnet
from prunnet_pml.integration import Mean, PCGrad, Sum


@pytest.fixture(autouse=True)
def of_hidden_units(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``prunnet.make_prunable`` is of granularity "channel", whoever calls it."""
    made = partial(prunnet.make_prunable, granularity="channel")
    monkeypatch.setattr(prunnet, "make_prunable", made)
    monkeypatch.chdir(tmp_path)


def test_the_page_of_trainers_testers_and_inference_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    images, labels = torch.rand(32, 3, 32, 32), torch.arange(32) % 4
    keeper = RecordKeeper()
    found = run_blocks(
        "docs/pml.md",
        {
            "trunk": timm.create_model("test_resnet", num_classes=64),
            "dataset": TensorDataset(images, labels),
            "val_set": TensorDataset(images[:12], labels[:12]),
            "num_classes": 4,
            "images": images[:5],
            "record_keeper": keeper,
        },
    )
    keeper.close()
    assert prunnet.hidden_units(found["trunk"]).groups
    assert found["indices"].shape == (5, 3)


def test_the_four_lines_of_readme_run(monkeypatch: pytest.MonkeyPatch) -> None:
    create_model = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *a, pretrained, **kw: create_model(*a, pretrained=False, **kw)
    )
    images, labels = torch.rand(12, 3, 32, 32), torch.arange(4).repeat(3)
    found = run_blocks(
        "README.md",
        {
            "num_classes": 4,
            "loader": list(zip(images.split(6), labels.split(6), strict=True)),
            "query_set": (images[:4], labels[:4]),
            "gallery_set": (images[4:], labels[4:]),
        },
    )
    student, dense = (
        sum(p.numel() for p in found[name].parameters()) for name in ("student", "model")
    )
    assert type(found["student"]) is timm.models.resnet.ResNet
    assert student < 0.25 * dense


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(networks.build("test_resnet")).train()


LOSSES = {
    "logit": lambda: losses.ArcFaceLoss(4, networks.EMBEDDING),
    "embedding": losses.TripletMarginLoss,
}


@pytest.mark.parametrize(
    ("space", "integration"),
    [
        ("logit", None),
        ("embedding", Sum()),
        ("logit", Mean()),
        ("embedding", PCGrad()),
        ("logit", lambda matrix: matrix.sum(0)),
    ],
)
def test_losses_miners_and_integrators_train_every_unit(
    space: str, integration: object, model: nn.Module
) -> None:
    loss_func = prunnet.CompatibleLoss(LOSSES[space](), model, space=space)
    inner = torch.optim.SGD([*model.parameters(), *loss_func.parameters()], lr=0.1)
    optimizer = prunnet.ConflictAwareOptimizer(inner, model, integration)
    miner, labels = miners.MultiSimilarityMiner(), torch.arange(12) % 4
    before = networks.snapshot(model)
    images: Tensor = torch.randn(12, 3, 32, 32)
    for _ in optimizer.capacities():
        embeddings = model(images)
        loss_func(embeddings, labels, miner(embeddings, labels)).backward()
    optimizer.step()
    assert optimizer.skipped_steps == 0
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_calibration_is_per_capacity_and_untrained_ones_get_sets(model: nn.Module) -> None:
    images = networks.images("test_resnet")
    loader = [images, images + 1]
    prunnet.calibrate(model, loader, [0.2, 0.5])
    pruned = prunnet.prune(model, 0.5)
    again = prunnet.prune(model, 0.5, calibration=loader)
    for one, other in zip(pruned.buffers(), again.buffers(), strict=True):
        assert torch.equal(one, other)
    name = "layer1.0.bn1"
    means = [prunnet.prune(model, c).get_submodule(name).running_mean for c in (0.2, 0.4, 0.5)]
    assert means[0].shape < means[1].shape < means[2].shape


def test_a_checkpoint_of_other_capacities_loads_with_a_warning(model: nn.Module) -> None:
    images = networks.images("test_resnet")
    prunnet.calibrate(model, [images])
    other = prunnet.make_prunable(networks.build("test_resnet"), (0.2, 0.3))
    with pytest.warns(UserWarning, match=r"was not trained at the capacities \[0\.3\]"):
        other.load_state_dict(model.state_dict())
    for capacity in (0.2, 0.3, 0.8):
        expected = networks.snapshot(prunnet.prune(model, capacity))
        networks.assert_equal_states(prunnet.prune(other, capacity), expected)
    with pytest.raises(ValueError, match="`state_dict` should fit ResNet"):
        other.load_state_dict(prunnet.prune(model, 0.2).state_dict())
