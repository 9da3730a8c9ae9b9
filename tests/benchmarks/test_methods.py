"""The methods to compare with: each trains a whole family, and each is what its name says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import few_glyphs
import pytest
import torch
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.demo.recipe import Recipe, train_prunable

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RECIPE = Recipe(steps=2, batch_size=16, widths=(4, 8, 12, 16))


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[SimpleNamespace]:
    """The modules of benchmarks/ that are tested here."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import method
        import methods
        import results

        yield SimpleNamespace(method=method, methods=methods, results=results)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def task(benchmarks: SimpleNamespace) -> object:
    return benchmarks.methods.Task(few_glyphs.FewGlyphs("train"), RECIPE)


NAMES = (
    "independent", "magnitude-pruning", "joint", "bct-per-size", "asymmetric", "sfsc",
    "prunnet-published", "prunnet-authors-code", "prunnet-default",
)  # fmt: skip


def embedded(network: nn.Module, images: Tensor) -> Tensor:
    assert not network.training
    with torch.no_grad():
        return network(images)


def test_every_method_is_tested(benchmarks: SimpleNamespace) -> None:
    assert set(NAMES) == set(benchmarks.methods.METHODS)


@pytest.mark.parametrize("name", NAMES)
def test_a_family_has_a_network_of_its_own_for_every_capacity(
    name: str, benchmarks: SimpleNamespace, task: SimpleNamespace
) -> None:
    family = benchmarks.methods.METHODS[name](task)
    assert list(family) == [1.0, 0.8, 0.6, 0.4, 0.2]
    found = [embedded(network, task.train.images[:4] / 255) for network in family.values()]
    assert all(e.shape == (4, 128) and e.isfinite().all() for e in found)
    assert not any(torch.equal(one, other) for one, other in combinations(found, 2))


def test_the_default_is_what_the_demo_trains(
    benchmarks: SimpleNamespace, task: SimpleNamespace
) -> None:
    family = benchmarks.methods.METHODS["prunnet-default"](task)
    model = train_prunable(task.train, RECIPE)
    images = task.train.images[:4] / 255
    for capacity, network in family.items():
        with prunnet.capacity(model, capacity):
            assert torch.equal(embedded(network, images), embedded(model, images))


def test_separate_networks_match_in_parameters(task: SimpleNamespace) -> None:
    """Widths times sqrt(c): about c of the weights of wide layers."""
    wide = type(task)(task.train, Recipe())
    dense, *others = (
        sum(p.numel() for name, p in wide.network(c).named_parameters() if "fc" not in name)
        for c in (1.0, 0.8, 0.6, 0.4, 0.2)
    )
    for capacity, count in zip((0.8, 0.6, 0.4, 0.2), others, strict=True):
        assert count / dense == pytest.approx(capacity, abs=0.04)


def test_the_command_writes_the_matrix(
    benchmarks: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(benchmarks.results, "FOLDER", tmp_path)
    monkeypatch.setattr(benchmarks.method, "Glyphs", few_glyphs.FewGlyphs)
    monkeypatch.setattr(sys, "argv", ["method.py", "magnitude-pruning", "--steps", "1"])
    benchmarks.method.main()
    document = json.loads((tmp_path / "methods" / "magnitude-pruning-glyphs-0.json").read_text())
    assert document["method"] == "magnitude-pruning"
    assert document["recipe"]["steps"] == 1
    assert len(document["matrix"]["values"]["recall_at_1"]) == 5
