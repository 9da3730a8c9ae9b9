"""docs/hub.md runs as it is written, from top to bottom, against a Hub on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hub_endpoint import Endpoint
from networks import assert_equal_states, snapshot
from test_docs import run_blocks
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.hub import Manifest


def test_the_page_runs(
    hub: Endpoint, network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    test_set = (torch.randn(12, 3, 32, 32), torch.arange(4).repeat(3))
    given = {"model": network, "test_set": test_set, "images": [torch.randn(8, 3, 32, 32)]}
    found = run_blocks("docs/hub.md", given)
    assert_equal_states(found["device"], snapshot(prunnet.prune(found["model"], 0.4)))
    assert Manifest.read("network").missing("network", 0.4) == []
    assert hub.repositories["team/glyphs"].private
    assert {file.name for file in Path("student").iterdir()} == {"config.json", "model.safetensors"}
