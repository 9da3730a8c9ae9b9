"""Runs of mmengine on twelve glyphs, for its tests. As a script it is what torchrun starts."""

from __future__ import annotations

import copy
import sys
import uuid
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from prunnet_pml.registry.mmengine.running import join_processes

CAPACITIES = (1.0, 0.6, 0.3)
ACCUMULATED = 2
MAX_NORM = 0.5
COMPARED_STEPS = 2
GRANULARITIES = {
    "weight": {},
    "channel": {"model.granularity": "channel", "model.round_to": 2},
}


def config(folder: Path, **changes: Any) -> Config:  # noqa: ANN401
    """Twelve glyphs in two epochs of three batches."""
    loader = {
        "batch_size": 48,
        "num_workers": 0,
        "collate_fn": {"type": "default_collate"},
    }
    settings = {
        "work_dir": str(folder),
        "experiment_name": uuid.uuid4().hex,  # mmengine's own is one for all runs of a second
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
            "dataset": {"type": "few_glyphs.FewGlyphs", "split": "train", "size": 32},
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
            "dataset": {"type": "few_glyphs.FewGlyphs", "split": "test", "size": 32},
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
    found.merge_from_dict(copy.deepcopy(changes))  # which takes out `_delete_`
    return found


def train(found: Config) -> Runner:
    runner = Runner.from_cfg(found)
    runner.train()
    return runner


def state(runner: Runner) -> dict[str, torch.Tensor]:
    model = getattr(runner.model, "module", runner.model)
    return {key: value.clone() for key, value in model.state_dict().items()}


def forget_runs() -> None:
    """mmengine keeps loggers and the like by name for as long as a process lives."""
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            handler.close()
    for manager in (MMLogger, MessageHub, Visualizer, DefaultScope):
        manager._instance_dict.clear()


class GradientSpy(Hook):
    """Keeps the gradients of the first steps, as they were clipped."""

    def __init__(self) -> None:
        self.seen: dict[str, torch.Tensor] = {}

    def after_train_iter(self, runner: Runner, batch_idx: int, *_: Any, **__: Any) -> None:  # noqa: ANN401
        step, rest = divmod(batch_idx + 1, ACCUMULATED)
        if rest == 0 and step <= COMPARED_STEPS:
            model = getattr(runner.model, "module", runner.model)
            for name, parameter in model.named_parameters():
                self.seen[f"{step} {name}"] = parameter.grad.clone()


APART = {
    "_delete_": True,
    "type": "CompatibleLoss",
    "loss": {"type": "ArcFaceLoss", "num_classes": 12, "embedding_size": 8},
    "contrast": 0,
}
"""The loss of an image is its own: contrast compares it with the others of its batch."""


def train_without_batch_norm(folder: str, granularity: str, world: int = 1) -> dict[str, Any]:
    """Gradients, final state and matrix of a training whose parts of a batch don't mix."""
    found = config(
        Path(folder),
        **{
            "model.backbone": {"name": "test_vit", "img_size": 32},
            "model.loss": APART,
            "train_dataloader.dataset.distortion": None,
            "train_dataloader.batch_size": 48 // world,
            "optim_wrapper.accumulative_counts": ACCUMULATED,
            "optim_wrapper.clip_grad": {"max_norm": MAX_NORM},
            "train_cfg.max_epochs": 1,
            **GRANULARITIES[granularity],
        },
    )
    if world > 1:
        found.launcher = "pytorch"
        found.model_wrapper_cfg = {"type": "prunnet_pml.PrunableDistributedDataParallel"}
    runner = Runner.from_cfg(found)
    spy = GradientSpy()
    runner.register_hook(spy)
    runner.train()
    [metric] = runner.val_evaluator.metrics
    matrix = metric.matrix and metric.matrix.to_json()
    return {"gradients": spy.seen, "state": state(runner), "matrix": matrix}


if __name__ == "__main__":
    [given] = sys.argv[1:]
    join_processes()
    seen = {
        granularity: train_without_batch_norm(
            f"{given}/{granularity}", granularity, dist.get_world_size()
        )
        for granularity in GRANULARITIES
    }
    torch.save(seen, f"{given}/{dist.get_rank()}.pt")
    dist.destroy_process_group()
