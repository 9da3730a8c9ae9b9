"""benchmarks/config.py keeps what a training reached at its end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from mmengine_runs import config, forget_runs

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


def test_the_command_trains_to_the_end_and_writes_the_matrix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import config as command
    import results

    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["config.py", "glyphs_resnet10"])
    asked = []
    monkeypatch.setattr(
        command, "load_config", lambda name: asked.append(name) or config(tmp_path / "unused")
    )
    command.main()
    forget_runs()
    document = json.loads((tmp_path / "config_glyphs_resnet10.json").read_text())
    assert asked == ["glyphs_resnet10"]
    assert document["iterations"] == 2 * 4
    assert document["matrix"]["query_capacities"] == [1.0, 0.6, 0.3]
    assert document["processor_s"] > 0
    assert not (tmp_path / "unused").exists()  # checkpoints go with the temporary folder
