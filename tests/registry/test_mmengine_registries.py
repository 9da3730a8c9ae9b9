"""Components are found by name, and what is not found is an error that helps."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from mmengine import registry
from mmengine.config import Config
from pytorch_metric_learning import losses, miners
from torch import nn
from torch.utils.data import TensorDataset

import prunnet_pml as prunnet
import prunnet_pml.integration
import prunnet_pml.losses
from prunnet_pml.registry.mmengine import DATA_SAMPLERS, DATASETS, MODELS, TASK_UTILS
from prunnet_pml.registry.mmengine.building import build

EMBEDDER = """dict(
    type="prunnet_pml.PrunableEmbedder",
    backbone=dict(type="timm", name="test_resnet", num_classes=8),
    loss=dict(type="ArcFaceLoss", num_classes=4, embedding_size=8),
)"""


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def test_a_config_builds_without_an_import_of_the_registry() -> None:
    code = f"from mmengine.registry import MODELS; print(type(MODELS.build({EMBEDDER})).__name__)"
    assert run_python(code).split() == ["PrunableEmbedder"]


def test_the_registry_imports_where_mmengine_is_missing() -> None:
    code = "import sys; sys.modules['mmengine'] = None; import prunnet_pml.registry; print('fine')"
    assert run_python(code).split() == ["fine"]


def test_every_loss_and_miner_of_pml_has_its_name() -> None:
    for module, kind in ((losses, "Loss"), (prunnet_pml.losses, "Loss"), (miners, "Miner")):
        names = [n for n in dir(module) if n.endswith(kind) and not n.startswith("Base")]
        assert len(names) >= 8
        assert all(name in MODELS for name in names)
    for name in prunnet_pml.integration.__all__:
        member = getattr(prunnet_pml.integration, name)
        if isinstance(member, type) and name != "Integrator":
            assert name in TASK_UTILS
    for name in ("Glyphs", "FashionMNIST", "InShop", "VeRi776", "GoogleLandmarksV2", "CUB"):
        assert name in DATASETS


def test_parts_of_a_loss_are_configs_too() -> None:
    config = {
        "type": "CrossBatchMemory",
        "embedding_size": 8,
        "loss": {"type": "ContrastiveLoss", "distance": {"type": "LpDistance", "power": 2}},
        "miner": {"type": "MultiSimilarityMiner", "epsilon": 0.2},
    }
    loss = build(config, MODELS)
    assert loss.loss.distance.power == 2
    assert loss.miner.epsilon == 0.2


def test_a_compatible_loss_and_a_miner_across_capacities_get_the_network() -> None:
    model = registry.MODELS.build(
        {
            "type": "prunnet_pml.PrunableEmbedder",
            "backbone": {"type": "timm", "name": "test_resnet", "num_classes": 8},
            "loss": {
                "type": "CompatibleLoss",
                "loss": {"type": "ContrastiveLoss"},
                "space": "embedding",
                "alignment": 0,
            },
            "miner": {"type": "CompatibilityMiner", "margin": 0.1},
            "capacities": (0.5,),
        }
    )
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8) % 4
    assert model.loss_func.alignment == 0
    for capacity in (1.0, 0.5):
        prunnet.set_capacity(model.backbone, capacity)
        assert model(images, labels, mode="loss")["loss"].isfinite()


def embedder(**parts: Any) -> nn.Module:  # noqa: ANN401
    return registry.MODELS.build(
        {
            "type": "prunnet_pml.PrunableEmbedder",
            "backbone": {"type": "timm", "name": "test_resnet", "num_classes": 8},
            "capacities": (0.5,),
            **parts,
        }
    )


ACROSS = {"type": "CompatibilityMiner", "margin": 0.1}
IN_EMBEDDINGS = {
    "type": "CompatibleLoss",
    "loss": {"type": "ContrastiveLoss"},
    "space": "embedding",
}
NESTED = {
    "a sum of losses": {"type": "MultipleLosses", "losses": [IN_EMBEDDINGS, IN_EMBEDDINGS]},
    "a sum by name, with miners": {
        "type": "MultipleLosses",
        "losses": {
            "one": IN_EMBEDDINGS,
            "two": {**IN_EMBEDDINGS, "type": "prunnet_pml.CompatibleLoss"},
        },
        "miners": {"two": {**ACROSS, "type": "prunnet_pml.CompatibilityMiner"}},
        "weights": {"one": 1.0, "two": 0.5},
    },
    "a memory's miner": {
        **IN_EMBEDDINGS,
        "loss": {
            "type": "CrossBatchMemory",
            "embedding_size": 8,
            "memory_size": 16,
            "loss": {"type": "ContrastiveLoss"},
            "miner": ACROSS,
        },
    },
}


@pytest.mark.parametrize("loss", NESTED.values(), ids=NESTED)
def test_nested_parts_that_look_at_the_network_are_given_the_backbone(loss: dict[str, Any]) -> None:
    before = copy.deepcopy(loss)
    model = embedder(loss=Config({"loss": loss}).loss)
    assert loss == before
    owners = [m for m in model.loss_func.modules() if hasattr(m, "_dense")]
    assert len(owners) == 2 + ("weights" in loss)
    assert all(owner._dense._model is model.backbone for owner in owners)
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8) % 4
    for capacity in (1.0, 0.5):
        prunnet.set_capacity(model.backbone, capacity)
        assert model(images, labels, mode="loss")["loss"].isfinite()


def test_a_compatible_loss_goes_around_a_loss_that_has_none_in_it() -> None:
    arc_face = {"type": "ArcFaceLoss", "num_classes": 4, "embedding_size": 8}
    for loss, kinds in (
        (arc_face, [prunnet.CompatibleLoss, losses.ArcFaceLoss]),
        (IN_EMBEDDINGS, [prunnet.CompatibleLoss, losses.ContrastiveLoss]),
        (NESTED["a sum of losses"], [losses.MultipleLosses, nn.ModuleList, prunnet.CompatibleLoss]),
    ):
        found = [type(module) for module in embedder(loss=loss).loss_func.modules()]
        assert found[: len(kinds)] == kinds


def test_pml_samplers_take_the_labels_of_the_data_set() -> None:
    dataset = TensorDataset(torch.zeros(40))
    dataset.labels = torch.arange(40) % 10
    config = {"type": "prunnet_pml.MPerClassSampler", "m": 2, "length_before_new_iter": 40}
    np.random.seed(0)
    sampler = registry.DATA_SAMPLERS.build(config, default_args={"dataset": dataset, "seed": 1})
    found = dataset.labels[list(sampler)].view(-1, 2)
    assert found[:, 0].equal(found[:, 1])
    with pytest.raises(ValueError, match="`dataset` should have `labels`"):
        DATA_SAMPLERS.build(config, default_args={"dataset": TensorDataset(torch.zeros(4))})


@pytest.mark.parametrize("name", ["ArcFacLoss", "prunnet_pml.ArcFacLoss"])
def test_an_unknown_type_says_where_it_was_searched(name: str) -> None:
    searched = MODELS if "." not in name else registry.MODELS
    with pytest.raises(ValueError, match=r"scope 'prunnet_pml'.*Did you mean 'ArcFaceLoss'"):
        searched.build({"type": name})


def test_a_component_of_another_scope_is_not_answered_with_ours() -> None:
    with pytest.raises(ValueError, match=r"Found 'mmpretrain\.ResNet'\.$"):
        MODELS.build({"type": "mmpretrain.ResNet"})


def test_an_unknown_backbone_part_is_not_hidden_by_mmengines_default_scope() -> None:
    config = {"type": "ConflictAwre"}
    with registry.DefaultScope.overwrite_default_scope("mmengine"):
        assert isinstance(build({"type": "PCGrad"}, TASK_UTILS), prunnet.PCGrad)
        with pytest.raises(ValueError, match="task utils of the scope 'prunnet_pml'"):
            build(config, TASK_UTILS)


def test_an_unknown_backbone_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"Found 'test_resnett'\. Did you mean 'test_resnet'"):
        build({"type": "timm", "name": "test_resnett"}, MODELS)


def test_a_backbone_may_be_called_as_timm_knows_it_prunable() -> None:
    network = build({"type": "timm", "name": "prunnet_test_resnet", "num_classes": 8}, MODELS)
    assert not prunnet.is_prunable(network)  # PrunableEmbedder's capacities and scores are to come


UNKNOWN = [
    (registry.MODELS, "ArcFacLoss", "ArcFaceLoss"),
    (registry.MODELS, "CompatibiltyMiner", "CompatibilityMiner"),
    (registry.MODEL_WRAPPERS, "PrunableDataParallel", "PrunableDistributedDataParallel"),
    (registry.OPTIM_WRAPPERS, "ConflictAwareOptimizer", "ConflictAwareOptimWrapper"),
    (registry.TASK_UTILS, "PCGard", "PCGrad"),
    (registry.DATASETS, "Glyph", "Glyphs"),
    (registry.DATA_SAMPLERS, "MPerClasSampler", "MPerClassSampler"),
    (registry.TRANSFORMS, "Distortions", "Distortion"),
    (registry.METRICS, "CompatibilityMatrix", "CompatibilityMetric"),
    (registry.HOOKS, "EpochSedHook", "EpochSeedHook"),
]


@pytest.mark.parametrize(("searched", "name", "nearest"), UNKNOWN, ids=[n for _, n, _ in UNKNOWN])
def test_every_registry_names_the_scope_that_it_searched(
    searched: registry.Registry, name: str, nearest: str
) -> None:
    message = rf"{searched.name}s of the scope 'prunnet_pml'.*Found .*{name}'.*'{nearest}'"
    with pytest.raises(ValueError, match=message):
        searched.build({"type": f"prunnet_pml.{name}"})


@pytest.mark.parametrize(
    "parts",
    [
        {"loss": {**IN_EMBEDDINGS, "loss": {"type": "ContrastivLoss"}}},
        {"loss": IN_EMBEDDINGS, "miner": {"type": "CompatibilityMinr"}},
        {"loss": {**IN_EMBEDDINGS, "loss": {"type": "NCALoss", "distance": {"type": "LpDistanc"}}}},
    ],
    ids=["loss", "miner", "distance"],
)
def test_an_unknown_part_is_named_however_deep_it_is(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"models of the scope 'prunnet_pml'.*Did you mean"):
        embedder(**parts)
