"""A team that has stock timm, and no prunnet_pml, loads the dense network from the Hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_endpoint import Endpoint
from safetensors.torch import load_file
from torch import nn

from prunnet_pml import prune
from prunnet_pml.hub import push_to_hub

SCRIPT = """
import sys
sys.modules["prunnet_pml"] = None  # importing it raises ImportError
import timm
from safetensors.torch import save_file
model = timm.create_model(sys.argv[1], pretrained=True)
save_file(model.state_dict(), sys.argv[2])
"""


@pytest.mark.parametrize("revision", ["@v1"])
def test_stock_timm_loads_the_dense_network(
    hub: Endpoint, network: nn.Module, tmp_path: Path, revision: str
) -> None:
    push_to_hub(network, "team/net", tag="v1")
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": "",
        "PYTHONSAFEPATH": "1",
    }
    subprocess.run(
        [sys.executable, "-c", SCRIPT, f"hf-hub:team/net{revision}", str(tmp_path / "found")],
        check=True,
        env={**os.environ, **environment},
        cwd=tmp_path,
    )
    found, expected = load_file(tmp_path / "found"), prune(network, 1.0).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
