"""The configs of what PrunNet is compared with say what they are, and train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmengine_runs import forget_runs, state
from small_configs import read, small

import prunnet_pml as prunnet
from prunnet_pml.losses import EvidentialLoss
from prunnet_pml.registry.mmengine.slimmable_embedder import SlimmableEmbedder

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)
INTEGRATED = {"joint": "Sum", "pcgrad": "PCGrad", "upgrad": "UPGrad"}
FOR_A_GALLERY = ("bct", "asymmetric")
CLASSES = 24_393


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    yield
    forget_runs()


def build(config: Config) -> Any:  # noqa: ANN401
    with torch.device("meta"), DefaultScope.overwrite_default_scope("mmengine"):
        model = MODELS.build(config.model)
        return model, build_optim_wrapper(model, config.optim_wrapper)


def untrained(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose trained parts are new ones, for there are no checkpoints yet."""
    if isinstance(config, dict):
        if config.get("type") == "trained":
            return config["module"]
        return {key: untrained(value) for key, value in config.items()}
    return [untrained(part) for part in config] if isinstance(config, list) else config


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", INTEGRATED)
def test_prunable_networks_differ_from_prunnet_in_the_integration_alone(name: str) -> None:
    config, paper = read(f"gldv2_resnet18_{name}"), read("gldv2_resnet18")
    model, wrapper = build(config)
    assert type(wrapper._arguments["integration"]).__name__ == INTEGRATED[name]
    assert wrapper._arguments["shared"] == ("sum" if name == "joint" else "dense")
    assert isinstance(model.loss_func, prunnet.CompatibleLoss) == (name != "joint")
    changed = {key for key in paper if paper[key] != config[key]}
    assert changed == {"optim_wrapper"} | ({"model"} if name == "joint" else set())


def test_the_dense_network_is_trained_with_the_same_rates() -> None:
    config, paper = read("gldv2_resnet18_independent"), read("gldv2_resnet18")
    model, wrapper = build(config)
    assert config.optim_wrapper.optimizer == paper.optim_wrapper.optimizer
    assert config.param_scheduler == paper.param_scheduler
    assert config.train_dataloader == paper.train_dataloader
    assert wrapper.clip_grad_kwargs == {"max_norm": 100}
    assert model.loss_func.classifier.weight.shape == (CLASSES, 256)
    assert not prunnet.is_prunable(model.backbone)


@pytest.mark.parametrize("name", FOR_A_GALLERY)
def test_a_network_for_a_gallery_has_a_fifth_of_the_dense_parameters(name: str) -> None:
    config = read(f"gldv2_resnet18_{name}")
    dense = config.model.dense
    assert (dense.type, dense.prefix) == ("trained", "backbone.")
    assert dense.module == read("gldv2_resnet18_independent").model.backbone
    config.model = untrained(config.model.to_dict())
    model, _ = build(config)
    assert parameters(model.backbone) / parameters(model.dense) == pytest.approx(0.2, abs=0.015)
    assert model.capacity == 0.2
    assert not any(parameter.requires_grad for parameter in model.dense.parameters())


def test_the_slimmable_network_has_the_widths_of_the_paper() -> None:
    model, _ = build(read("gldv2_resnet18_sfsc"))
    assert isinstance(model, SlimmableEmbedder)
    assert isinstance(model.loss_func, EvidentialLoss)
    norms = model.backbone.layer4[0].bn1.norms.values()
    widths = [norm.num_features / 512 for norm in norms]
    assert widths == pytest.approx([1.0, 0.8944, 0.7746, 0.6325, 0.4472], abs=1 / 512)


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checkpoint of the small dense network, trained by its config."""
    folder = tmp_path_factory.mktemp("dense")
    Runner.from_cfg(smaller("independent", folder)).train()
    forget_runs()
    return str(folder / "work" / "epoch_2.pth")


def smaller(name: str, folder: Path, checkpoint: str | None = None) -> Config:
    """With tiny networks, three classes, and the dense network that was trained."""
    found = small(f"gldv2_resnet18_{name}", folder)
    found.model = shrunk(read(f"gldv2_resnet18_{name}").model.to_dict(), checkpoint)
    return found


def shrunk(config: Any, checkpoint: str | None) -> Any:  # noqa: ANN401
    if isinstance(config, list):
        return [shrunk(part, checkpoint) for part in config]
    if not isinstance(config, dict):
        return 3 if config == CLASSES else config
    found = {key: shrunk(value, checkpoint) for key, value in config.items()}
    if found.get("type") == "timm":
        found |= {"layers": [1] * 4, "channels": [4 if "channels" in found else 8] * 4}
    if found.get("type") == "trained":
        found["checkpoint"] = checkpoint
    return found


@pytest.mark.parametrize("name", ["independent", *INTEGRATED, *FOR_A_GALLERY, "sfsc"])
def test_two_epochs_of_made_images_train(name: str, dense: str, tmp_path: Path) -> None:
    runner = Runner.from_cfg(smaller(name, tmp_path, dense))
    before = state(runner)
    runner.train()
    assert runner.iter >= 2
    after = state(runner)
    moved = {key for key in before if not before[key].equal(after[key])}
    weights = {k for k in before if k.startswith("backbone.") and k.endswith("weight")}
    assert weights <= moved
    assert all(value.isfinite().all() for value in after.values())
    [metric] = runner.val_evaluator.metrics
    sizes = {"independent": 1, "bct": 2, "asymmetric": 2}.get(name, 5)
    assert len(metric.matrix.query_capacities) == sizes
    assert [*tmp_path.glob("work/best_*.pth")]
