"""A Hub on loopback for every test, and the stock client that speaks to it and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from hub_endpoint import OWNER, Endpoint, serving
from huggingface_hub import close_session, constants
from torch import nn

from prunnet_pml import capacity, make_prunable, trained_capacities
from prunnet_pml.hub import save_pretrained


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Endpoint]:
    """An empty Hub; the client's token may write below ``team/``, its cache is empty too."""
    with serving() as endpoint:
        # The client reads its environment on import, long before a test begins.
        monkeypatch.setattr(constants, "ENDPOINT", endpoint.url)
        template = endpoint.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", OWNER)
        yield endpoint
        close_session()  # its connections to an endpoint that is gone


def make_network() -> nn.Module:
    """A prunable network small enough to travel often, with norm statistics for each capacity."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = make_prunable(timm.create_model("test_resnet", num_classes=8))
        for value in (*trained_capacities(model), 1.0):
            with capacity(model, value), torch.no_grad():
                model(torch.randn(4, 3, 32, 32))
    return model.eval()


@pytest.fixture
def network() -> nn.Module:
    """The network of ``saved``, for the test to change."""
    return make_network()


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved network, for all tests: read it, don't write to it."""
    folder = tmp_path_factory.mktemp("saved") / "net"
    save_pretrained(make_network(), folder)
    return folder
