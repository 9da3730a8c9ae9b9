"""What holds for every test: the same random state, and what others' packages warn of."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """huggingface_hub 2.4 uploads in a way of which its own HTTP client warns."""
    own = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
    for item in items:
        if "hub" in getattr(item, "fixturenames", ()):
            item.add_marker(own)
