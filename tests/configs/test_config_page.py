"""docs/configs.md lists every config, and its code runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import config_table
import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from mmengine_runs import forget_runs
from small_configs import FOLDER, TINY, make_data
from test_docs import blocks

import prunnet_pml.registry.mmengine  # noqa: F401 - registers
from prunnet_pml.network import trained_capacities

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    yield
    forget_runs()


def test_the_page_lists_every_config() -> None:
    """If not, run tests/config_table.py."""
    assert config_table.table() in config_table.PAGE.read_text(encoding="utf-8")


def test_the_test_on_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = next(blocks("docs/configs.md", "python"))
    changes = {
        **make_data("gldv2_resnet18", tmp_path / "data"),
        "test_dataloader.dataset.dataset.transform.size": 32,
        "test_dataloader.num_workers": 0,
        "model.backbone.name": TINY["resnet"]["name"],
    }
    found = {"options": [f"{key}={value}" for key, value in changes.items()]}
    exec(compile(code, "docs/configs.md", "exec"), found)
    assert "compatibility/mean_average_precision_hard_query_20_gallery_100" in found["scores"]


def test_the_config_on_the_page_is_one(tmp_path: Path) -> None:
    _, code = blocks("docs/configs.md", "python")
    path = tmp_path / "my_config.py"
    path.write_text(code.replace("/path/of/prunnet_pml/configs", str(FOLDER)), encoding="utf-8")
    config = Config.fromfile(path)
    assert config.model.backbone.name == "efficientnet_b0"
    assert "initial_scores" not in config.model  # the library's defaults
    assert config.train_dataloader.dataset.root == "/data/in-shop"
    assert config.val_dataloader.dataset.dataset.type == "InShop"
    config.model.backbone.pretrained = False
    embedder = MODELS.build(config.model)
    assert trained_capacities(embedder.backbone) == (0.8, 0.6, 0.4, 0.2)
    optimizer = build_optim_wrapper(embedder, config.optim_wrapper)
    rates = {group["lr"] for group in optimizer.param_groups}
    assert rates == {1e-3, 1e-2}
