"""The same against the real Hub, where somebody lends a token that may write."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, ModelCard, constants
from torch import nn

from prunnet_pml import prune
from prunnet_pml.hub import download, from_pretrained, push_to_hub, upgrade

needs_token = pytest.mark.skipif(
    not os.environ.get("HF_TOKEN"), reason="HF_TOKEN, with the right to write, is not set"
)


@pytest.mark.slow
@needs_token
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_travels_over_the_real_hub(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    api = HfApi()
    name = f"{api.whoami()['name']}/prunnet-pml-test-{uuid.uuid4().hex[:8]}"
    try:
        commit = push_to_hub(network, name, private=True, tag="v1")
        assert api.model_info(name, revision="v1").sha == commit.oid
        ModelCard.load(name).validate()
        folder = download(name, 0.2, revision="v1", folder=tmp_path / "device")
        upgrade(folder, 0.4)
        found, expected = (
            from_pretrained(folder, 0.4).state_dict(),
            prune(network, 0.4).state_dict(),
        )
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    finally:
        api.delete_repo(name, missing_ok=True)
