"""docs/mmengine.md and the config that it trains run as written, on fewer images."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine_runs import forget_runs
from test_docs import run_blocks

pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


def test_the_page_and_its_config_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = {"type": "few_glyphs.FewGlyphs"}
    options = {
        "train_dataloader.num_batch_per_epoch": 2,
        "train_dataloader.batch_size": 16,
        "val_dataloader.dataset": few,
        "train_cfg.max_epochs": 1,
        "log_level": "ERROR",
    }
    found = run_blocks("docs/mmengine.md", {"options": options})
    forget_runs()
    assert found["runner"].iter == 2
    assert found["matrix"].query_capacities == (1.0, 0.8, 0.6, 0.4, 0.2)
    assert found["miner"].distance.power == 2
    assert "Did you mean 'ArcFaceLoss'" in capsys.readouterr().out
    assert [*tmp_path.rglob("capacity_curve_2.png")]
    assert [*tmp_path.glob("work/best_*.pth")]
