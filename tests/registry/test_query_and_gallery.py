"""A benchmark's own protocol in the Runner's validation, and the norm behind an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from made_folders import make_in_shop
from mmengine.runner import Runner
from mmengine_runs import forget_runs
from small_configs import small

import prunnet_pml as prunnet
from prunnet_pml.datasets import InShop
from prunnet_pml.registry.mmengine import DATASETS, MODELS

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    yield
    forget_runs()


def test_queries_come_first_and_keep_their_labels(tmp_path: Path) -> None:
    root = make_in_shop(tmp_path)
    found = DATASETS.build({"type": "QueryAndGallery", "dataset": {"type": "InShop", "root": root}})
    query, gallery = InShop(root, "query"), InShop(root, "gallery")
    assert found.metainfo["queries"] == len(query)
    assert [label for _, label in found] == [*query.labels, *gallery.labels]
    assert found.metainfo["labels"] == [*query.labels, *gallery.labels]
    assert found[len(query)][0] == gallery[0][0]  # PIL compares pixels


def test_a_data_set_without_a_protocol_is_refused() -> None:
    DATASETS.register_module(name="WithoutProtocol", module=lambda split: [split], force=True)
    with pytest.raises(ValueError, match=r"benchmark with a protocol\. Found list\."):
        DATASETS.build({"type": "QueryAndGallery", "dataset": {"type": "WithoutProtocol"}})


def test_a_shuffled_gallery_is_refused(tmp_path: Path) -> None:
    config = small("in_shop_resnet18", tmp_path, **{"val_dataloader.sampler.shuffle": True})
    with pytest.raises(ValueError, match=r"in order, whose protocol knows images by"):
        Runner.from_cfg(config).val()


def test_an_unknown_metric_names_those_of_the_protocol(tmp_path: Path) -> None:
    changes = {"val_evaluator.scalars": ["recall_at_2"]}
    with pytest.raises(ValueError, match=r"'recall_at_1', 'recall_at_10'.*Found 'recall_at_2'"):
        Runner.from_cfg(small("in_shop_resnet18", tmp_path, **changes)).val()


def test_a_metric_of_another_protocol_is_refused_before_the_first_step(tmp_path: Path) -> None:
    changes = {"custom_hooks": [{"type": "prunnet_pml.CapacityCurveHook", "metric": "recall_at_2"}]}
    runner = Runner.from_cfg(small("in_shop_resnet18", tmp_path, **changes))
    with pytest.raises(ValueError, match=r"'recall_at_1', .*Found 'recall_at_2'"):
        runner.train()
    assert runner.iter == 0


def test_the_curve_is_drawn_of_a_protocols_first_metric(tmp_path: Path) -> None:
    changes = {
        "custom_hooks": [{"type": "prunnet_pml.CapacityCurveHook"}],
        "default_hooks.checkpoint.save_best": None,  # mmengine's wants a training
        "visualizer.vis_backends": [{"type": "LocalVisBackend"}],
    }
    Runner.from_cfg(small("gldv2_resnet18", tmp_path, **changes)).val()
    assert [*tmp_path.rglob("capacity_curve_0.png")]


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
def test_every_capacity_has_its_own_embedding_norm(name: str) -> None:
    """Normalised by its own batch at every capacity; the dense norm sees only dense ones."""
    config = {"type": "timm", "name": name, "num_classes": 8, "embedding_norm": True}
    model = prunnet.make_prunable(MODELS.build(config), [0.3])
    plain = timm.create_model(name, num_classes=8)
    assert isinstance(model, type(plain))
    images = torch.randn(16, 3, 160, 160)
    norm = model.get_classifier()[1]
    norm.eps = 1e-12
    before = norm.running_mean.clone()
    with prunnet.capacity(model, 0.3):
        embeddings = model(images)
        assert not norm.running_mean.equal(before)
    assert norm.running_mean.equal(before)
    torch.testing.assert_close(embeddings.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(embeddings.std(0, correction=0), torch.ones(8), atol=1e-3, rtol=0)
    assert isinstance(prunnet.prune(model, 0.3).get_classifier()[1], torch.nn.BatchNorm1d)


def test_a_network_without_a_head_takes_no_norm() -> None:
    config = {"type": "timm", "name": "test_resnet", "num_classes": 0, "embedding_norm": True}
    with pytest.raises(ValueError, match="`embedding_norm` should be False"):
        MODELS.build(config)
