"""The demo, shortened: everything it promises to leave is there, and the numbers agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

import prunnet_pml as prunnet
from prunnet_pml.cli import app
from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.compare import Comparison, compare
from prunnet_pml.demo.recipe import (
    Recipe,
    build_network,
    calibration_images,
    one_cycle,
    train_alone,
    train_prunable,
)
from prunnet_pml.demo.report import markdown, write_report
from prunnet_pml.evaluation import embed

RECIPE = Recipe(steps=3, batch_size=16, widths=(8, 8, 16, 16))
CAPACITIES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.2, 0.1)


@pytest.fixture(scope="module")
def glyphs() -> tuple[Glyphs, Glyphs]:
    train, test = Glyphs("train"), Glyphs("test")
    test.images, test.labels = test.images[:300], test.labels[:300]
    return train, test


@pytest.fixture(scope="module")
def left(
    glyphs: tuple[Glyphs, Glyphs], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Comparison, torch.nn.Module]:
    folder = tmp_path_factory.mktemp("demo") / "made by the demo"
    train, test = glyphs
    model, alone = train_prunable(train, RECIPE), train_alone(train, RECIPE)
    comparison = compare(model, alone, test, calibration_images(train, RECIPE)[:1])
    write_report(folder, comparison, model, test, RECIPE, {"train": 1.0})
    return folder, comparison, model


def test_the_help_says_how_many_steps_there_are() -> None:
    """It is written there by hand, since the recipe imports torch."""
    told = CliRunner().invoke(app, ["demo", "--help"], env={"COLUMNS": "120"}).stdout
    assert f"[default: ({Recipe.steps})]" in told


def test_every_artefact_is_there_and_nothing_else(left: tuple) -> None:
    folder, _, _ = left
    names = {path.name for path in folder.iterdir()}
    pictures = {"matrix.png", "curve.png", "matches.png"}
    assert names == {"results.json", "table.md", "prunable.safetensors", *pictures}
    for name in pictures:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_json_and_the_table_hold_what_was_measured(left: tuple) -> None:
    folder, comparison, _ = left
    document = json.loads((folder / "results.json").read_text())
    assert document["recipe"]["steps"] == 3
    assert document["prunable"] == json.loads(comparison.prunable.to_json())
    table = (folder / "table.md").read_text()
    assert table == markdown(comparison)
    cross = comparison.prunable.cross_test()
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:9]]
    for capacity, (name, value) in zip(CAPACITIES, rows, strict=True):
        assert name.strip() == f"{capacity:.0%}{' *' * (capacity in (0.5, 0.1))}"
        assert float(value) == pytest.approx(100 * cross[capacity], abs=0.051)


def test_the_targets_say_whether_they_are_met(left: tuple) -> None:
    _, comparison, _ = left
    targets = comparison.targets()
    assert len(targets) == 3 + 3 + 6
    for target in targets.values():
        assert target["met"] == (target["value"] >= target["bound"])


def test_the_second_network_is_scored_in_the_dense_gallery(
    left: tuple, glyphs: tuple[Glyphs, Glyphs]
) -> None:
    """By a slow loop: a query of the network alone, the gallery of the prunable one."""
    _, comparison, model = left
    train, test = glyphs
    images = test.images, test.labels
    queries, _ = embed(train_alone(train, RECIPE), images)
    gallery, _ = embed(model, images)
    hits, asked = 0, 0
    for i, query in enumerate(queries):
        if (test.labels == test.labels[i]).sum() > 1:
            similarity = gallery @ query
            similarity[i] = -2
            hits += int(test.labels[similarity.argmax()] == test.labels[i])
            asked += 1
    assert comparison.alone.value("recall_at_1", 1.0, 1.0) == pytest.approx(hits / asked)


def test_the_checkpoint_is_the_trained_network(left: tuple) -> None:
    folder, _, model = left
    twin = prunnet.make_prunable(build_network(RECIPE))
    twin.load_state_dict(load_file(folder / "prunable.safetensors"))
    twin.eval()
    images = torch.rand(2, 1, 32, 32)
    for capacity in (1.0, 0.2, 0.1):
        with prunnet.capacity(model, capacity), prunnet.capacity(twin, capacity):
            assert torch.equal(twin(images), model(images))


def test_training_repeats_itself(glyphs: tuple[Glyphs, Glyphs]) -> None:
    def weights(seed: int) -> Tensor:
        model = train_prunable(glyphs[0], replace(RECIPE, seed=seed))
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("steps", range(1, 13))
def test_few_steps_are_a_cycle_too(steps: int) -> None:
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = one_cycle(sgd, Recipe(steps=steps))
    rates = []
    for _ in range(steps):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        schedule.step()
    assert 0 < min(rates) <= max(rates) <= 0.1


def test_both_networks_see_the_same_batches(
    glyphs: tuple[Glyphs, Glyphs], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Tensor]] = []
    distort = type(glyphs[0].distortion).__call__

    def recorded(self: object, images: Tensor, generator: torch.Generator) -> Tensor:
        seen[-1].append(distort(self, images, generator))
        return seen[-1][-1]

    monkeypatch.setattr(type(glyphs[0].distortion), "__call__", recorded)
    for train in (train_prunable, train_alone):
        seen.append([])
        train(glyphs[0], RECIPE)
    assert len(seen[0]) == len(seen[1]) == RECIPE.steps
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_the_command_line_shows_help_and_refuses_bad_options() -> None:
    runner = CliRunner()
    assert "demo" in runner.invoke(app, ["--help"]).output
    assert runner.invoke(app, ["demo", "--steps", "0"]).exit_code == 2
