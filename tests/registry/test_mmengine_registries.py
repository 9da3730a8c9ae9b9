"""Components are found by name, and what is not found is an error that helps."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine import registry
from pytorch_metric_learning import losses, miners
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


def test_an_unknown_backbone_part_is_not_hidden_by_mmengines_default_scope() -> None:
    config = {"type": "ConflictAwre"}
    with registry.DefaultScope.overwrite_default_scope("mmengine"):
        assert isinstance(build({"type": "PCGrad"}, TASK_UTILS), prunnet.PCGrad)
        with pytest.raises(ValueError, match="task util of the scope 'prunnet_pml'"):
            build(config, TASK_UTILS)


def test_an_unknown_backbone_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match="Found 'test_resnett'; nearest are 'test_resnet'"):
        build({"type": "timm", "name": "test_resnett"}, MODELS)


def test_a_backbone_may_be_called_as_timm_knows_it_prunable() -> None:
    network = build({"type": "timm", "name": "prunnet_test_resnet", "num_classes": 8}, MODELS)
    assert not prunnet.is_prunable(network)  # PrunableEmbedder's capacities and scores are to come
