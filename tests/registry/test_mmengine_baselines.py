"""What prunable networks are compared with trains under the stock Runner, from configs alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner, set_random_seed
from mmengine_runs import config, forget_runs, state
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss, TripletMarginLoss
from torch import nn

import prunnet_pml
from prunnet_pml.registry.mmengine.integrators import TASK_UTILS

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)
NETWORK = {"type": "timm", "name": "test_resnet", "in_chans": 1, "num_classes": 8}
LOSS = {"type": "NormalizedSoftmaxLoss", "num_classes": 12, "embedding_size": 8}
ALONE = {"type": "prunnet_pml.DenseEmbedder", "backbone": NETWORK, "loss": LOSS}


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    yield
    forget_runs()


def runner_of(
    folder: Path,
    model: dict[str, Any],
    wrapper: str = "OptimWrapper",
    **changes: Any,  # noqa: ANN401
) -> Runner:
    found = config(folder, **{"train_cfg.max_epochs": 1, "optim_wrapper.type": wrapper, **changes})
    found.model = model
    return Runner.from_cfg(found)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a dense network alone."""
    folder = tmp_path_factory.mktemp("dense")
    runner_of(folder, ALONE).train()
    forget_runs()
    return str(folder / "epoch_1.pth")


def trained(checkpoint: str, prefix: str = "backbone.") -> dict[str, Any]:
    module = NETWORK if prefix == "backbone." else LOSS
    return {"type": "trained", "module": module, "checkpoint": checkpoint, "prefix": prefix}


def test_a_dense_network_takes_the_steps_of_the_plain_loop(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, ALONE)
    model = copy.deepcopy(runner.model)
    runner.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    set_random_seed(2_654_435_761 % 2**31)
    runner.train_dataloader.sampler.set_epoch(0)
    for images, labels in runner.train_dataloader:
        optimizer.zero_grad()
        model.loss_func(model.backbone(images), labels).backward()
        optimizer.step()
    expected, found = model.state_dict(), state(runner)
    assert [key for key in expected if not expected[key].equal(found[key])] == []
    [metric] = runner.val_evaluator.metrics
    assert metric.matrix.query_capacities == (1.0,)


def test_a_part_of_a_checkpoint_is_the_part_that_was_trained(checkpoint: str) -> None:
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    for prefix in ("backbone.", "loss_func."):
        part = MODELS.build({**trained(checkpoint, prefix), "type": "prunnet_pml.trained"})
        for key, value in part.state_dict().items():
            assert value.equal(saved[prefix + key])


def test_a_checkpoint_that_is_missing_or_of_something_else_is_named(checkpoint: str) -> None:
    build = {"type": "prunnet_pml.trained"}
    with pytest.raises(FileNotFoundError, match=r"`checkpoint` .* Found none at nowhere\.pth"):
        MODELS.build({**trained("nowhere.pth"), **build})
    wrong = {**trained(checkpoint), "module": {**NETWORK, "num_classes": 9}, **build}
    with pytest.raises(ValueError, match=r"`checkpoint` should hold a ResNet under 'backbone\.'"):
        MODELS.build(wrong)


def test_backward_compatible_training_adds_what_the_old_classifier_loses(
    checkpoint: str, tmp_path: Path
) -> None:
    model = {
        **ALONE,
        "loss": {
            "type": "MultipleLosses",
            "losses": [
                LOSS,
                {"type": "InfluenceLoss", "classifier": trained(checkpoint, "loss_func.")},
            ],
        },
        "dense": trained(checkpoint),
        "capacity": 0.3,
    }
    runner = runner_of(tmp_path, model)
    model, before = runner.model, state(runner)
    own, influence = model.loss_func.losses
    images, labels = torch.rand(6, 1, 32, 32), torch.arange(6)
    model.train()
    total = model(images, labels, mode="loss")["loss"]
    embeddings = nn.functional.normalize(model.backbone(images))
    logits = embeddings @ nn.functional.normalize(influence.classifier.W, dim=0)
    old = nn.functional.cross_entropy(logits / 0.05, labels)
    torch.testing.assert_close(total, own(model.backbone(images), labels) + old)
    runner.train()
    frozen = [key for key in before if key.startswith("dense.") or "classifier" in key]
    assert frozen
    assert all(before[key].equal(state(runner)[key]) for key in frozen)  # its norms too
    [metric] = runner.val_evaluator.metrics
    assert metric.matrix.query_capacities == (1.0, 0.3)
    assert metric.matrix.trained_capacities == (0.3,)


def test_a_student_is_drawn_to_the_dense_embeddings(checkpoint: str, tmp_path: Path) -> None:
    student = {
        **ALONE,
        "type": "prunnet_pml.StudentEmbedder",
        "loss": {"type": "AsymmetricRegressionLoss"},
        "dense": trained(checkpoint),
        "capacity": 0.3,
    }
    runner = runner_of(tmp_path, student, **{"train_cfg.max_epochs": 2})
    model = runner.model.train()
    images = torch.rand(6, 1, 32, 32)
    with torch.no_grad():
        dense = copy.deepcopy(model.dense).eval()(images)
        expected = 1 - nn.functional.cosine_similarity(model.backbone(images), dense).mean()
    torch.testing.assert_close(model(images, mode="loss")["loss"], expected)
    runner.train()
    first, *_, last = runner.message_hub.log_scalars["train/loss"].data[0]
    assert last < first
    with pytest.raises(ValueError, match=r"`dense` should be the network to imitate"):
        MODELS.build({**student, "dense": None, "capacity": 1.0})
    with pytest.raises(ValueError, match=r"`capacity` should be below 1 beside a `dense`"):
        MODELS.build({**student, "capacity": 1.0})


def test_joint_training_moves_the_class_weights_at_every_capacity(tmp_path: Path) -> None:
    joint = {**ALONE, "type": "prunnet_pml.JointEmbedder", "capacities": [0.6, 0.3]}
    changes = {
        "optim_wrapper.integration": {"type": "Sum"},
        "optim_wrapper.subnetworks_per_step": None,
    }
    runner = runner_of(tmp_path, joint, "prunnet_pml.ConflictAwareOptimWrapper", **changes)
    model, total = copy.deepcopy(runner.model).train(), torch.zeros(8, 12)
    batch = torch.rand(6, 1, 32, 32), torch.arange(6)
    optimizer = runner.build_optim_wrapper(runner.optim_wrapper)
    for name in ("backbone", "loss_func"):
        getattr(runner.model, name).train()
    for capacity in (1.0, 0.6, 0.3):
        model.zero_grad()
        with prunnet_pml.capacity(model.backbone, capacity):
            model.loss_func(model.backbone(batch[0]), batch[1]).backward()
        assert model.loss_func.W.grad.any()
        total += model.loss_func.W.grad
    runner.model.train_step(batch, optimizer)
    torch.testing.assert_close(runner.model.loss_func.W.grad, total)


def test_a_slimmable_network_trains_all_widths(tmp_path: Path) -> None:
    slimmable = {
        "type": "prunnet_pml.SlimmableEmbedder",
        "backbone": {**NETWORK, "name": "resnet18", "channels": [8, 8, 8, 16], "layers": [1] * 4},
        "loss": {**LOSS, "type": "EvidentialLoss"},
        "capacities": [0.5, 0.25],
    }
    runner = runner_of(tmp_path, slimmable, "prunnet_pml.SlimmableOptimWrapper")
    before = state(runner)
    runner.train()
    after = state(runner)
    moved = {key for key in before if not before[key].equal(after[key])}
    assert {key for key in before if key.endswith("weight")} <= moved
    scalars = runner.message_hub.log_scalars
    parts = ("metric_loss", "metric_loss_at_50", "metric_loss_at_25")
    assert all(len(scalars[f"train/{name}"].data[0]) == runner.iter for name in parts)
    [metric] = runner.val_evaluator.metrics
    assert metric.matrix.query_capacities == (1.0, 0.5, 0.25)
    with pytest.raises(ValueError, match=r"SlimmableOptimWrapper\. Found NoneType"):
        runner.model.train_step(None, None)
    with pytest.raises(RuntimeError, match=r"on one process"):
        runner.model(torch.rand(1, 1, 32, 32), mode="loss")
    wrapper = {"accumulative_counts": 2}
    with pytest.raises(ValueError, match=r"`accumulative_counts` should be 1\. Found 2"):
        type(runner.optim_wrapper)(runner.optim_wrapper.optimizer, **wrapper)


def test_only_the_widest_network_moves_the_class_weights() -> None:
    model = MODELS.build(
        {
            "type": "prunnet_pml.SlimmableEmbedder",
            "backbone": {**NETWORK, "name": "resnet18", "channels": [8, 8, 8, 16]},
            "loss": LOSS,
            "capacities": [0.25],
        }
    )
    batch = torch.rand(4, 1, 32, 32), torch.arange(4)
    model.loss_at(0.25, *batch).backward()
    assert model.loss_func.W.grad is None
    model.loss_at(1.0, *batch).backward()
    assert model.loss_func.W.grad.any()


def test_aggregators_of_torchjd_are_integrators_by_name() -> None:
    aggregator = TASK_UTILS.build({"type": "prunnet_pml.UPGrad"})
    conflict = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    assert (conflict @ aggregator(conflict) >= -1e-6).all()
    assert isinstance(TASK_UTILS.build({"type": "prunnet_pml.PCGrad"}), prunnet_pml.PCGrad)


def test_joint_training_takes_a_loss_without_class_weights() -> None:
    joint = {"type": "prunnet_pml.JointEmbedder", "backbone": NETWORK}
    model = MODELS.build({**joint, "loss": {"type": "TripletMarginLoss"}})
    assert type(model.loss_func) is TripletMarginLoss
    inside = {"type": "CompatibleLoss", "loss": LOSS, "alignment": 0}
    assert type(MODELS.build({**joint, "loss": inside}).loss_func) is NormalizedSoftmaxLoss
    made = NormalizedSoftmaxLoss(12, 8)
    of_class = {**inside, "type": prunnet_pml.CompatibleLoss, "loss": made}
    assert MODELS.build({**joint, "loss": of_class}).loss_func is made
    assert MODELS.build({**joint, "loss": made}).loss_func is made
    several = {"type": "MultipleLosses", "losses": [inside]}
    with pytest.raises(ValueError, match=r"plain loss .* Found a CompatibleLoss inside of a Multi"):
        MODELS.build({**joint, "loss": several})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"capacities": [0.5, 0.1]}, r"`capacities` .* trains 0\.6, 0\.3\. Found \[0\.5, 0\.1\]"),
        ({"capacities": [0.2, 0.4, 0.6, 0.8]}, "`capacities` should be left out"),
        ({"initial_scores": "uniform"}, "`initial_scores` should be left out"),
        ({"granularity": "channel"}, "`granularity` should be left out"),
        ({"round_to": 8}, "`round_to` should be left out"),
        ({"score_depthwise": True}, "`score_depthwise` should be left out"),
    ],
)
def test_how_to_make_what_is_prunable_already_is_refused(
    argument: dict[str, Any], message: str
) -> None:
    network = prunnet_pml.make_prunable(timm.create_model("test_resnet", num_classes=8), (0.6, 0.3))
    embedder = {"type": "prunnet_pml.PrunableEmbedder", "backbone": network, "loss": LOSS}
    MODELS.build({**embedder, "capacities": [0.3, 0.6], "granularity": "weight"})  # as it is
    with pytest.raises(ValueError, match=message):
        MODELS.build({**embedder, **argument})
