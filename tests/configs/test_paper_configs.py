"""The configs of the paper's set-ups say what the paper does, and train."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner
from mmengine_runs import forget_runs, state
from small_configs import FOLDER, read, small
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.norms import CapacityNorm
from prunnet_pml.record_names import cell_name
from prunnet_pml.registry.mmengine.bundled_configs import load_config

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)
STEPS = {"in_shop_resnet18": (50, 100, 150), "veri776_resnet18": (50, 100, 150)}
CLASSES = {"gldv2": 24_393, "in_shop": 3_997, "veri776": 576}
SGD = {  # config: timm's name, and whether convolutions are integrated by filter
    "gldv2_resnet18": ("resnet18", True),
    "in_shop_resnet18": ("resnet18", True),
    "veri776_resnet18": ("resnet18", True),
    "gldv2_resnet50": ("resnet50", True),
    "gldv2_resnext50": ("resnext50_32x4d", True),
    "gldv2_mobilenetv2": ("mobilenetv2_100", False),
}
ADAMW = {  # config: timm's name, rate, weight decay
    "gldv2_vit_small": ("vit_small_patch16_224", 3e-5, 1e-3),
    "gldv2_swin_tiny": ("swin_tiny_patch4_window7_224", 1e-3, 0.01),
    "gldv2_convnext_tiny": ("convnext_tiny", 3e-5, 1e-3),
}
PAPER = [*SGD, *ADAMW]


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    yield
    forget_runs()


def rates(name: str, epochs: int, epoch_length: int = 4) -> list[float]:
    """The learning rate of every iteration of a config's schedule."""
    config = read(name)
    kind = getattr(torch.optim, config.optim_wrapper.optimizer.pop("type"))
    optimizer = kind([nn.Parameter(torch.zeros(1))], **config.optim_wrapper.optimizer)
    schedules = config.param_scheduler
    schedulers = [
        PARAM_SCHEDULERS.build(
            {"by_epoch": True, **each},
            default_args={"optimizer": optimizer, "epoch_length": epoch_length},
        )
        for each in (schedules if isinstance(schedules, list) else [schedules])
    ]
    found = []
    for iteration in range(epochs * epoch_length):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (iteration + 1) % epoch_length == 0:
                scheduler.step()
    return found


@pytest.mark.parametrize("name", PAPER)
def test_model_and_optimizer_are_those_of_the_paper(name: str) -> None:
    """Built on the meta device: with every parameter's shape, and no memory."""
    config = read(name)
    config.model.backbone.pretrained = False
    with torch.device("meta"), DefaultScope.overwrite_default_scope("mmengine"):
        model = MODELS.build(config.model)
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
        timm_name = (SGD.get(name) or ADAMW[name])[0]
        plain = timm.create_model(timm_name, num_classes=256)
    names = [key.replace(".0.weight", ".weight") for key in prunnet.scored_layers(model.backbone)]
    assert isinstance(model.backbone, type(plain))
    head = next(key for key, module in plain.named_modules() if module is plain.get_classifier())
    layers = [k for k, m in plain.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert names == [layer for layer in layers if layer != head]
    linear, norm = model.backbone.get_submodule(head)
    assert linear.out_features == 256
    assert isinstance(norm, CapacityNorm)
    assert norm.set_capacities == (0.8, 0.6, 0.4, 0.2)
    [data] = [data for data in CLASSES if name.startswith(data)]
    assert model.loss_func.loss.classifier.weight.shape == (CLASSES[data], 256)
    assert model.loss_func.alignment == 0
    assert model.loss_func.contrast == 0
    assert config.model.initial_scores == "uniform"

    settings = wrapper._arguments
    assert settings["shared"] == "dense"
    assert wrapper.clip_grad_kwargs == {"max_norm": 100}
    integration = settings["integration"]
    assert integration.projection == "sequential"
    assert integration.epsilon == 1e-8
    groups = wrapper.param_groups
    if name in SGD:
        assert integration.alpha == 0.5
        assert integration.per_filter == SGD[name][1]
        assert all(g["momentum"] == 0.9 and g["weight_decay"] == 5e-4 for g in groups)
    else:
        assert integration.alpha == 1.0
        assert isinstance(wrapper.optimizer, torch.optim.AdamW)
        assert {(g["lr"], g["weight_decay"]) for g in groups} == {ADAMW[name][1:]}


@pytest.mark.parametrize("name", SGD)
def test_sgd_falls_to_a_tenth_at_each_milestone(name: str) -> None:
    milestones = STEPS.get(name, (5, 10, 20))
    epochs = 200 if name in STEPS else 30
    assert read(name).train_cfg.max_epochs == epochs
    expected = [0.1 * 0.1 ** sum(m <= epoch for m in milestones) for epoch in range(epochs)]
    assert rates(name, epochs, epoch_length=1) == pytest.approx(expected)


@pytest.mark.parametrize("name", ADAMW)
def test_adamw_warms_up_for_three_epochs_and_falls_as_a_cosine(name: str) -> None:
    peak = ADAMW[name][1]
    found = rates(name, epochs=30)
    assert read(name).train_cfg.max_epochs == 30
    assert found[0] == pytest.approx(0.01 * peak)
    assert all(one < next_ for one, next_ in itertools.pairwise(found[:12]))
    falling = [peak * (1 + math.cos(math.pi * step / 108)) / 2 for step in range(108)]
    assert found[12:] == pytest.approx(falling, rel=1e-6)


@pytest.mark.parametrize("name", PAPER)
def test_two_epochs_of_made_images_train(name: str, tmp_path: Path) -> None:
    runner = Runner.from_cfg(small(name, tmp_path))
    before = state(runner)
    runner.train()
    assert runner.iter >= 2
    after = state(runner)
    moved = {key for key in before if not before[key].equal(after[key])}
    assert "loss_func.loss.classifier.weight" in moved
    assert {key for key in before if key.endswith((".scores", ".weight"))} <= moved
    [metric] = runner.val_evaluator.metrics
    dataset = runner.val_dataloader.dataset
    query, gallery = dataset.query, dataset.gallery
    expected = prunnet.evaluate(
        runner.model.backbone, query, gallery, protocol=query.protocol(gallery)
    )
    assert metric.matrix.to_json() == expected.to_json()
    assert [*tmp_path.glob("work/best_*.pth")]  # `save_best` is a metric of the protocol


@pytest.mark.parametrize("name", PAPER)
def test_any_of_them_may_prune_hidden_units(name: str, tmp_path: Path) -> None:
    changes = {"model.granularity": "channel", "model.round_to": 2}
    network = MODELS.build(small(name, tmp_path, **changes).model).backbone
    sizes = [sum(p.numel() for p in n.parameters()) for n in (prunnet.prune(network, 0.2), network)]
    assert sizes[0] < 0.6 * sizes[1]


def test_google_landmarks_is_tested_on_revisited_paris(tmp_path: Path) -> None:
    runner = Runner.from_cfg(small("gldv2_resnet18", tmp_path))
    found = runner.test()
    dataset = runner.test_dataloader.dataset
    query, gallery = dataset.query, dataset.gallery
    expected = prunnet.evaluate(
        runner.model.backbone, query, gallery, protocol=query.protocol(gallery)
    )
    for name in ("mean_average_precision_medium", "mean_average_precision_hard"):
        cell = f"compatibility/{cell_name(name, 0.2, 1.0)}"
        assert found[cell] == expected.value(name, 0.2, 1.0)


@pytest.mark.parametrize("name", ["gldv2_resnet18", "in_shop_resnet18", "veri776_resnet18"])
def test_a_missing_folder_is_told_where_to_get_it(name: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    config = small(name, tmp_path, **{"train_dataloader.dataset.root": missing})
    with pytest.raises(FileNotFoundError, match=r"nowhere.*not found.*Source: https://"):
        Runner.from_cfg(config).train()


@pytest.mark.parametrize("name", PAPER)
def test_one_option_moves_the_data(name: str) -> None:
    config = load_config(name, ["data_root=/elsewhere"])
    assert config.train_dataloader.dataset.root == "/elsewhere"
    assert config.val_dataloader.dataset.dataset.root == "/elsewhere"
    if name.startswith("gldv2"):
        assert config.test_dataloader.dataset.dataset.root == "data/rparis6k"


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_the_true_network_takes_two_steps(name: str, tmp_path: Path) -> None:
    true = {"model.backbone": {"_delete_": True, **read(name).model.backbone, "pretrained": False}}
    config = small(name, tmp_path, size=224, **true)
    runner = Runner.from_cfg(config)
    runner.train()
    assert runner.iter >= 2
    assert all(value.isfinite().all() for value in state(runner).values())


def test_every_config_says_what_it_is_in_a_line() -> None:
    for path in FOLDER.rglob("*.py"):
        line = (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0]
        assert 20 < len(line) < 110 or path.stem == "__init__"
        assert line.endswith(".")
