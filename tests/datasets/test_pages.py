"""The pages of the data sets: their code runs on the layouts they show, and their links lead on."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_folders import (
    make_fashion_mnist,
    make_google_landmarks,
    make_in_shop,
    make_online_products,
    make_revisited,
    make_veri776,
)
from PIL import Image
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml import datasets

PAGES = Path(__file__).parents[2] / "docs" / "datasets"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
MADE: dict[str, Callable[[Path], Path]] = {
    "README.md": make_veri776,
    "fashion-mnist.md": make_fashion_mnist,
    "google-landmarks-v2.md": make_google_landmarks,
    "in-shop.md": make_in_shop,
    "pml.md": make_online_products,
    "revisited-oxford-paris.md": lambda root: make_revisited(root, "roxford5k"),
    "veri-776.md": make_veri776,
}


def to_tensor(image: Image.Image) -> Tensor:
    pixels = np.array(image.convert("L").resize((28, 28)))
    return torch.from_numpy(pixels).unsqueeze(0) / 255


def test_every_page_is_run_here() -> None:
    assert {page.name for page in PAGES.glob("*.md")} == set(MADE)


@pytest.mark.parametrize("page", MADE)
def test_code_of_the_page_runs_as_it_is_written(tmp_path: Path, page: str) -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(784, 8))
    namespace = {
        "root": MADE[page](tmp_path),
        "transform": to_tensor,
        "model": prunnet.make_prunable(plain, capacities=(0.2,)),
        "prunnet": prunnet,
    }
    blocks = BLOCK.findall((PAGES / page).read_text(encoding="utf-8"))
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
    assert blocks
    assert namespace["matrix"].capacities == (1.0, 0.2)


@pytest.mark.parametrize("page", MADE)
def test_links_lead_to_pages(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (PAGES / page).read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (PAGES / link).exists()] == []


@pytest.mark.parametrize(
    "kind", [kind for kind in map(datasets.__dict__.get, datasets.__all__) if hasattr(kind, "name")]
)
def test_error_and_page_name_the_same_source(kind: type) -> None:
    text = "".join((PAGES / page).read_text(encoding="utf-8") for page in MADE)
    urls = re.findall(r"https?://[^\s,]+", kind.source)
    assert urls
    assert all(url in text for url in urls)
    assert f"`{kind.__name__}`" in text
    named = re.findall(r"docs/datasets/([\w-]+\.md)", kind.__doc__)
    assert set(named) <= set(MADE)
