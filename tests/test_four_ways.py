"""One experiment, written four ways, takes the same steps: so the integrations can't drift apart.

Each function is what a user of that way would write. All start from one seed, read the images in
the order that mmengine's sampler has for it, and return the loss of every capacity at each step;
where subnetworks are drawn, what is said of one that sat out a step is the trainer's affair.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import timm
import torch
from few_glyphs import FewGlyphs
from mmengine.dataset import DefaultSampler
from mmengine_runs import forget_runs
from pytorch_metric_learning import losses
from pytorch_metric_learning.trainers import BaseTrainer
from torch import nn
from torch.utils.data import DataLoader

import prunnet_pml as prunnet
from prunnet_pml.draws import drawn_for
from prunnet_pml.network import trained_capacities
from prunnet_pml.record_names import loss_name
from prunnet_pml.registry.mmengine.bundled_configs import load_config
from prunnet_pml.registry.mmengine.running import build_runner
from prunnet_pml.trainers import PrunableMetricLossOnly

STEPS = 20
NAMES = ("metric_loss", "metric_loss_at_60", "metric_loss_at_30")  # dense first
CONFIG = """
model = dict(
    type="prunnet_pml.PrunableEmbedder",
    backbone=dict(type="timm", name="test_resnet", in_chans=1, num_classes=16),
    loss=dict(type="ArcFaceLoss", num_classes=12, embedding_size=16),
    capacities=(0.6, 0.3),
)
train_dataloader = dict(
    batch_size=9,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="few_glyphs.FewGlyphs", split="train", distortion=None),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
optim_wrapper = dict(
    type="prunnet_pml.ConflictAwareOptimWrapper",
    optimizer=dict(type="AdamW", lr=0.01),
    clip_grad=dict(max_norm=1.0),
    {subnetworks}
)
param_scheduler = dict(type="StepLR", step_size=8, gamma=0.3, by_epoch=False)
train_cfg = dict(by_epoch=True, max_epochs=1)
randomness = dict(seed=0)

default_hooks = dict(logger=dict(type="LoggerHook", interval=1))
log_processor = dict(window_size=1)
"""
DRAWN: dict[str, dict[str, None]] = {"drawn": {}, "all": {"subnetworks_per_step": None}}
"""What a step trains: by default, or as in the paper."""
Losses: TypeAlias = list[dict[str, float]]  # by step; the loss of each capacity by name
pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


def plain_loop(folder: Path, drawn: str) -> Losses:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", in_chans=1, num_classes=16)
    model = prunnet.make_prunable(model, (0.6, 0.3))
    loss_func = prunnet.CompatibleLoss(losses.ArcFaceLoss(12, 16), model)
    parameters = [*model.parameters(), *loss_func.parameters()]
    optimizer = prunnet.ConflictAwareOptimizer(
        torch.optim.AdamW(parameters, lr=0.01), model, **DRAWN[drawn]
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)
    dataset = FewGlyphs("train", distortion=None)
    order = DefaultSampler(dataset, shuffle=True, seed=0)
    found = []
    for images, labels in DataLoader(dataset, batch_size=9, sampler=order):
        found.append({})
        for capacity in optimizer.capacities():
            loss = loss_func(model(images), labels)
            loss.backward()
            place = drawn_for(trained_capacities(model), capacity)
            found[-1][loss_name("metric_loss", place)] = loss.item()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    return found


def trainer_of_pml(folder: Path, drawn: str) -> Losses:
    torch.manual_seed(0)
    trunk = timm.create_model("test_resnet", in_chans=1, num_classes=16)
    trunk = prunnet.make_prunable(trunk, (0.6, 0.3))
    loss_func = prunnet.CompatibleLoss(losses.ArcFaceLoss(12, 16), trunk)
    parameters = [*trunk.parameters(), *loss_func.parameters()]
    optimizer = prunnet.ConflictAwareOptimizer(
        torch.optim.AdamW(parameters, lr=0.01), trunk, **DRAWN[drawn]
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)
    dataset = FewGlyphs("train", distortion=None)
    found = []

    def end_of_iteration(trainer: BaseTrainer) -> None:
        found.append({name: float(trainer.losses[name]) for name in NAMES})

    PrunableMetricLossOnly(
        models={"trunk": trunk, "embedder": nn.Identity()},
        optimizers={"trunk_optimizer": optimizer},
        lr_schedulers={"trunk_scheduler_by_iteration": schedule},
        gradient_clippers={"trunk_grad_clipper": lambda: nn.utils.clip_grad_norm_(parameters, 1.0)},
        batch_size=9,
        loss_funcs={"metric_loss": loss_func},
        dataset=dataset,
        sampler=DefaultSampler(dataset, shuffle=True, seed=0),
        dataloader_num_workers=0,
        data_device="cpu",
        end_of_iteration_hook=end_of_iteration,
    ).train(num_epochs=1)
    return found


def runner_of_mmengine(folder: Path, drawn: str) -> Losses:
    build_runner(load_config(config_in(folder, drawn)), folder / "work").train()
    return logged_in(folder)


def prunnet_train(folder: Path, drawn: str) -> Losses:
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])  # finds few_glyphs
    config = config_in(folder, drawn)
    subprocess.run(
        [sys.executable, "-m", "prunnet_pml.cli", "train", config, "--work-dir", "work"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return logged_in(folder)


def logged_in(folder: Path) -> Losses:
    [log] = folder.glob("work/*/vis_data/scalars.json")
    steps = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [{name: step[name] for name in NAMES if name in step} for step in steps]


def config_in(folder: Path, drawn: str) -> str:
    path = folder / "experiment.py"
    said = "".join(f"{name}={value}," for name, value in DRAWN[drawn].items())
    path.write_text(CONFIG.replace("{subnetworks}", said), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where there is a GPU, mmengine would take it, and a plain loop would not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("mmengine.runner.runner.get_device", lambda: "cpu")
    yield
    forget_runs()


@pytest.fixture(scope="module", params=DRAWN)
def drawn(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def expected(drawn: str, tmp_path_factory: pytest.TempPathFactory) -> Losses:
    return plain_loop(tmp_path_factory.mktemp("plain"), drawn)


@pytest.mark.parametrize(
    "way", [trainer_of_pml, runner_of_mmengine, prunnet_train], ids=lambda way: way.__name__
)
def test_every_way_takes_the_steps_of_the_plain_loop(
    way: Callable[[Path, str], Losses], drawn: str, expected: Losses, tmp_path: Path
) -> None:
    found = way(tmp_path, drawn)
    assert min(len(found), len(expected)) >= STEPS
    for step in range(STEPS):
        took_part = {name: found[step][name] for name in expected[step]}
        assert took_part == pytest.approx(expected[step], rel=1e-6), f"step {step}"


def test_the_experiment_is_one_that_could_differ(drawn: str, expected: Losses) -> None:
    """It learns, its capacities differ, and so do its steps."""
    series = {name: [step[name] for step in expected if name in step] for name in NAMES}
    assert all(losses[-1] < losses[0] for losses in series.values())
    values = [loss for losses in series.values() for loss in losses]
    assert len(set(values)) == len(values) == (2 if drawn == "drawn" else 3) * len(expected)
    assert {name for name in NAMES if len(series[name]) < len(expected)} == (
        {*NAMES[1:]} if drawn == "drawn" else set()
    )
