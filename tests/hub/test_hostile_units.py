"""Hostile hidden units: what a manifest says of them holds as far as the files bear it out."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import change_config, copy_of, rewrite, save_small_units, seal
from torch import Tensor

from prunnet_pml.hub import CheckpointError, from_pretrained

READER = "layer1.0.conv2"
BAND = "prunnet/band-020.safetensors"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "saved"
    save_small_units(folder)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return copy_of(good, tmp_path / "damaged")


def refused(folder: Path, match: str, *capacities: float | None) -> None:
    for capacity in capacities or (0.2, None):
        with pytest.raises(CheckpointError, match=match):
            from_pretrained(folder, capacity)


Change = Callable[[dict[str, Any]], None]


def the_group(config: dict[str, Any]) -> Any:  # noqa: ANN401
    """The one that ``READER`` reads."""
    groups = config["prunnet"]["units"]["groups"]
    [found] = [g for g in groups if any(cut["name"] == READER for cut in g["cuts"])]
    return found


def units(**values: Any) -> Change:  # noqa: ANN401
    return lambda config: config["prunnet"]["units"].update(values)


def group(**values: Any) -> Change:  # noqa: ANN401
    return lambda config: the_group(config).update(values)


def cut(index: int, **values: Any) -> Change:  # noqa: ANN401
    return lambda config: the_group(config)["cuts"][index].update(values)


def tensor(name: str, **values: Any) -> Change:  # noqa: ANN401
    return lambda config: config["prunnet"]["tensors"][name].update(values)


def another_group(**values: Any) -> Change:  # noqa: ANN401
    """A copy of the group beside it."""

    def change(config: dict[str, Any]) -> None:
        groups = config["prunnet"]["units"]["groups"]
        groups.append({**copy.deepcopy(the_group(config)), **values})

    return change


def another_cut(**values: Any) -> Change:  # noqa: ANN401
    def change(config: dict[str, Any]) -> None:
        cuts = the_group(config)["cuts"]
        cuts.append({**cuts[0], **values})

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (units(groups=[]), "should be groups of units. Found none"),
        (units(groups={}), "`groups` should be a list"),
        (units(groups=[7]), r"`groups`\[0\] should be an object. Found 7"),
        (units(layers="conv"), "`layers` should be a list of different texts"),
        (units(layers=["conv1", "conv1"]), "`layers` should be a list of different texts"),
        (units(layers=[["conv1"]]), "`layers` should be a list of different texts"),
        (group(units=0), "`units` should be a whole number from 1 on"),
        (group(units=-1), "`units` should be a whole number"),
        (group(units=1 << 40), "`layer1.0.*` should be 1099511627776 long"),
        (group(units=2.5), "`units` should be a whole number"),
        (group(multiple=0), "`multiple` should be a whole number from 1 on"),
        (group(readers=[]), "`readers` should be among . cuts"),
        (group(readers=[99]), "`readers` should be among . cuts. Found .99,"),
        (group(readers=[0]), "`readers` should read every unit once"),
        (group(cuts=[]), "`readers` should be among 0 cuts"),
        (cut(0, side="both"), "`side` should be one of"),
        (cut(0, name=""), "`name` should be a text"),
        (cut(0, parts=0), "`parts` should be a whole number from 1 on"),
        (cut(0, size=1 << 47), "should be .* long"),
        (cut(0, parts=2), "should be .* long"),
        (cut(0, name="fc.bias"), "`fc.bias` should be .* long"),
        (cut(0, name="layer1"), "`units` should fit `tensors`"),
        (another_group(), "Found `layer1.*cut twice"),
        (another_cut(), "Found `layer1.*cut twice"),
        (another_cut(name="layer1.0.conv1.weight"), "Found `layer1.0.conv1.weight` cut twice"),
        (tensor("fc.weight", kind="cut"), "`fc.weight` is cut"),
        (tensor(f"{READER}.weight", kind="plain"), f"`{READER}.weight` is plain"),
        (tensor("fc.weight", kind="scored", scores="x"), "`fc.weight` is scored"),
        (tensor(f"{READER}.weight", dtype="int64"), "should be cut numbers"),
        (lambda config: config["prunnet"].pop("units"), "`units` should be an object"),
        (lambda config: config["prunnet"].update(format=1), "is cut"),
        (lambda config: config["prunnet"].update(scores="uint8"), "`scores` should be one of"),
    ],
)
def test_units_of_nonsense_are_refused(folder: Path, change: Change, match: str) -> None:
    change_config(folder, change)
    refused(folder, match)


@pytest.mark.parametrize(
    ("change", "match", "capacity"),
    [
        (another_cut(name="nowhere.conv"), "`units` should be of ResNet: `nowhere.conv`", 0.2),
        (another_cut(name="nowhere.conv"), "`units` should be of ResNet: `nowhere.conv`", None),
        (another_cut(name="training", side="number"), "`training` should have .* Found 0", 0.2),
        (another_cut(name="__class__", side="number"), "`__class__` should have .* Found 0", 0.2),
        (units(layers=["fc", "maxpool"]), "Found no layer `maxpool`", None),
        (units(layers=["../conv1"]), "Found no layer `../conv1`", None),
    ],
)
def test_units_that_the_network_has_not_are_refused(
    folder: Path, change: Change, match: str, capacity: float | None
) -> None:
    change_config(folder, change)
    refused(folder, match, capacity)


def held(name: str, value: Tensor | None) -> Callable[[Path], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        assert name in tensors
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value

    return lambda folder: rewrite(folder, BAND, change)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (held(f"{READER}.scores", None), f"should hold `{READER}.scores`. Found none"),
        (held(f"{READER}.scores", torch.ones(3)), f"should hold `{READER}.scores` as .* shape"),
        (held(f"{READER}.scores", torch.ones(32).half()), "Found F16"),
        (held(f"{READER}.scores", torch.full((32,), torch.nan)), "finite numbers"),
        (held(f"{READER}.scores", torch.ones(32)), "should hold `layer1.0"),  # ties keep all
        (held(f"{READER}.weight:lower", torch.zeros(3).byte()), "should hold .*:lower` as"),
        (held(f"{READER}.weight:upper", torch.zeros(3).byte()), "don't inflate"),
        (held("layer1.0.bn1.running_mean@0.2", torch.zeros(3)), r"running_mean@0\.2` as"),
    ],
)
def test_a_band_that_holds_something_else_is_refused(
    folder: Path, change: Callable[[Path], None], match: str
) -> None:
    change(folder)
    refused(folder, match)


def test_a_refused_manifest_takes_no_memory(folder: Path) -> None:
    """Sizes of terabytes that agree with each other are more than the files hold."""

    def claim(config: dict[str, Any]) -> None:
        huge = 1 << 40
        for found in the_group(config)["cuts"]:
            found["size"] *= huge
        for name, record in config["prunnet"]["tensors"].items():
            if name.startswith(("layer1.0.conv1.", "layer1.0.bn1.")) and record["shape"]:
                record["shape"][0] *= huge
        config["prunnet"]["tensors"][f"{READER}.weight"]["shape"][1] *= huge

    change_config(folder, claim)
    tracemalloc.start()
    refused(folder, "should hold `layer1.0")
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_units_by_the_million_take_no_time(folder: Path) -> None:
    change_config(folder, units(layers=[f"layer{i}" for i in range(200_000)]))
    refused(folder, "Found no layer `layer0`", None)


def test_a_good_copy_loads(folder: Path) -> None:
    """What all refusals above are worth."""
    seal(folder)
    for capacity in (0.2, 0.3, 1.0, None):
        from_pretrained(folder, capacity)
