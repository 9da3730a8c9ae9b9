"""docs/deploy.md: its Python runs as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from test_docs import run_blocks

import prunnet_pml as prunnet


def test_its_python_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    network = timm.create_model("test_resnet", num_classes=8)
    model = prunnet.make_prunable(network, granularity="channel")
    found = run_blocks("docs/deploy.md", {"model": model})
    assert 0 < found["capacity"] <= 1
    assert sum(t.nbytes for t in found["student"].state_dict().values()) <= 2e6
    assert found["metadata"] == found["same"]
    torch.testing.assert_close(
        found["session"].run(None, {"images": found["images"]})[0],
        found["embeddings"].detach().numpy(),
    )
