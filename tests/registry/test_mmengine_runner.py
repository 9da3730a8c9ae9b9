"""The stock Runner of mmengine trains every capacity, and goes on where it stopped."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, set_random_seed
from mmengine.visualization import Visualizer

import prunnet_pml as prunnet
from prunnet_pml.record_names import cell_name
from prunnet_pml.space import space_id

CAPACITIES = (1.0, 0.6, 0.3)
LOSSES = ("metric_loss", "metric_loss_at_60", "metric_loss_at_30")
pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    """mmengine keeps loggers and the like by name for as long as a process lives."""
    yield
    for manager in (MMLogger, MessageHub, Visualizer, DefaultScope):
        manager._instance_dict.clear()
    logging.shutdown()


def config(folder: Path, **changes: Any) -> Config:  # noqa: ANN401
    """Twelve glyphs in two epochs of three batches."""
    loader = {
        "batch_size": 48,
        "num_workers": 0,
        "collate_fn": {"type": "default_collate"},
    }
    settings = {
        "work_dir": str(folder),
        "model": {
            "type": "prunnet_pml.PrunableEmbedder",
            "backbone": {
                "type": "timm", "name": "test_resnet", "in_chans": 1, "num_classes": 8,
            },
            "loss": {"type": "ArcFaceLoss", "num_classes": 12, "embedding_size": 8},
            "capacities": CAPACITIES[1:],
        },
        "train_dataloader": {
            **loader,
            "dataset": {"type": "few_glyphs.FewGlyphs", "split": "train", "size": 16},
            "sampler": {"type": "DefaultSampler", "shuffle": True},
        },
        "optim_wrapper": {
            "type": "prunnet_pml.ConflictAwareOptimWrapper",
            "optimizer": {"type": "AdamW", "lr": 0.01},
        },
        "param_scheduler": {"type": "StepLR", "step_size": 1, "gamma": 0.5},
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "val_dataloader": {
            **loader,
            "dataset": {"type": "few_glyphs.FewGlyphs", "split": "test", "size": 16},
            "sampler": {"type": "DefaultSampler", "shuffle": False},
        },
        "val_cfg": {},
        "val_evaluator": {"type": "prunnet_pml.CompatibilityMetric"},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1}},
        "custom_hooks": [
            {"type": "prunnet_pml.PlainCheckpointHook"},
            {"type": "prunnet_pml.EpochSeedHook"},
        ],
        "randomness": {"seed": 0},
        "log_level": "ERROR",
    }  # fmt: skip
    found = Config(settings)
    found.merge_from_dict(changes)
    return found


def train(found: Config) -> Runner:
    runner = Runner.from_cfg(found)
    runner.train()
    return runner


def state(runner: Runner) -> dict[str, torch.Tensor]:
    model = getattr(runner.model, "module", runner.model)
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [key for key, value in one.items() if not value.equal(other[key])] == []


def test_a_runner_takes_the_steps_of_the_plain_loop(tmp_path: Path) -> None:
    """Without import of the registry, from a config alone: the same weights to the bit."""
    runner = Runner.from_cfg(config(tmp_path))
    model = copy.deepcopy(runner.model)
    model.loss_func._dense._model = model.backbone
    runner.train()

    glyphs = runner.train_dataloader.dataset
    optimizer = prunnet.ConflictAwareOptimizer(
        torch.optim.AdamW(model.parameters(), lr=0.01), model.backbone
    )
    model.train()
    for epoch in range(2):
        seed = (2_654_435_761 + epoch) % 2**31
        set_random_seed(seed)
        runner.train_dataloader.sampler.set_epoch(epoch)
        for images, labels in runner.train_dataloader:
            for _ in optimizer.capacities():
                model.loss_func(model.backbone(images), labels).backward()
            optimizer.step()
        optimizer.param_groups[0]["lr"] /= 2
    assert_equal(state(runner), model.state_dict())


def test_the_losses_of_all_capacities_are_in_the_log(tmp_path: Path) -> None:
    runner = train(config(tmp_path))
    scalars = runner.message_hub.log_scalars
    each = [scalars[f"train/{name}"] for name in LOSSES]
    for total, *parts in zip(
        scalars["train/loss"].data[0], *(s.data[0] for s in each), strict=True
    ):
        assert total == pytest.approx(sum(parts), rel=1e-5)


def test_validation_scores_what_evaluate_scores_and_the_best_is_kept(tmp_path: Path) -> None:
    best = f"compatibility/{cell_name('recall_at_1', 0.3, 1.0)}"
    changes = {"default_hooks.checkpoint": {"save_best": best, "rule": "greater", "interval": 1}}
    runner = train(config(tmp_path, **changes))
    [metric] = runner.val_evaluator.metrics
    expected = prunnet.evaluate(runner.model.backbone, runner.val_dataloader.dataset)
    assert metric.matrix.to_json() == expected.to_json()
    found = runner.message_hub.get_scalar(f"val/{best}").data[0]
    assert found[-1] == expected.value("recall_at_1", 0.3, 1.0)
    [kept] = tmp_path.glob("best_*.pth")
    assert kept.stem.endswith(f"_epoch_{1 + int(found.argmax())}")


@pytest.mark.parametrize("trusted", [False, True], ids=["plain", "mmengine's"])
def test_a_checkpoint_opens_without_trust_only_if_the_hook_saved_it(
    tmp_path: Path, trusted: bool
) -> None:
    hooks = [] if trusted else [{"type": "prunnet_pml.PlainCheckpointHook"}]
    train(config(tmp_path, custom_hooks=hooks, train_cfg={"max_epochs": 1, "by_epoch": True}))
    file = tmp_path / "epoch_1.pth"
    if trusted:
        with pytest.raises(pickle.UnpicklingError):
            torch.load(file, weights_only=True)
    else:
        assert torch.load(file, weights_only=True)["meta"]["epoch"] == 1


def test_a_resumed_training_ends_at_the_same_weights_to_the_bit(tmp_path: Path) -> None:
    whole = train(config(tmp_path / "whole"))
    stopped = config(tmp_path / "parts")
    stopped.train_cfg.max_epochs = 1
    first = train(stopped)
    resumed = train(config(tmp_path / "parts", resume=True))
    assert resumed.epoch == 2
    assert_equal(state(whole), state(resumed))
    assert not state(first)["backbone.conv1.0.scores"].equal(
        state(resumed)["backbone.conv1.0.scores"]
    )
    assert space_id(resumed.model.backbone) == space_id(first.model.backbone)
    one, other = (r.message_hub.log_scalars["train/loss"].data[0] for r in (whole, resumed))
    assert one.tolist() == other.tolist()
    assert resumed.optim_wrapper.optimizer._steps == whole.optim_wrapper.optimizer._steps
