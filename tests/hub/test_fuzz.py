"""Whatever happens to the bytes of a checkpoint, loading it gives what was saved or one error."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import change_config, rewrite, save_small, save_small_units, seal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunnet_pml.hub import CheckpointError, Manifest, from_pretrained

CAPACITIES = (0.2, 0.3, 1.0, None)
NUMBERS = st.integers(-(1 << 70), 1 << 70) | st.floats() | st.sampled_from([0, 1, 0.5, 10**9])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
few = settings(
    max_examples=17,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
many = settings(few, max_examples=700, derandomize=False)


SAVES = {"weight": save_small, "channel": save_small_units}


@cache
def saved(granularity: str) -> Path:
    folder = Path(tempfile.mkdtemp()) / "saved"
    SAVES[granularity](folder)
    return folder


@cache
def expected(granularity: str, capacity: float | None) -> dict[str, torch.Tensor]:
    return from_pretrained(saved(granularity), capacity).state_dict()


class Copy:
    """A copy for one case."""

    def __init__(self, granularity: str) -> None:
        self.granularity = granularity

    def __enter__(self) -> Path:
        self._parent = Path(tempfile.mkdtemp())
        return Path(shutil.copytree(saved(self.granularity), self._parent / "copy"))

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._parent)


def loads_or_is_refused(folder: Path, capacity: float | None, same: str | None = None) -> None:
    """What loads is finite; and the same as was saved, of the granularity named, if one is."""
    try:
        state = from_pretrained(folder, capacity).state_dict()
    except (CheckpointError, FileNotFoundError) as error:
        assert len(str(error)) < 2000
        return
    if same:
        found = expected(same, capacity)
        assert state.keys() == found.keys()
        assert all(torch.equal(value, found[name]) for name, value in state.items())
    assert all(torch.isfinite(value).all() for value in state.values())


def damaged_bytes(data: st.DataObject, granularity: str) -> None:
    """A file cut, grown, or changed anywhere, its hash left alone."""
    with Copy(granularity) as folder:
        capacity = data.draw(st.sampled_from(CAPACITIES))
        names = ["config.json", *Manifest.read(folder).files_for(capacity)]
        file = folder / data.draw(st.sampled_from(names))
        content = bytearray(file.read_bytes())
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 40)))
        content[start:stop] = data.draw(st.binary(max_size=40))
        file.write_bytes(content)
        loads_or_is_refused(folder, capacity, granularity)


def hostile_config(data: st.DataObject, granularity: str) -> None:
    """A value anywhere in ``config.json`` exchanged for another, its checksum made right."""

    def change(config: dict[str, Any]) -> None:
        at: Any = config
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = data.draw(st.sampled_from(keys))
            if not at[key] or not isinstance(at[key], dict | list) or data.draw(st.booleans()):
                break
            at = at[key]
        at[key] = data.draw(VALUES)

    with Copy(granularity) as folder:
        change_config(folder, change)
        loads_or_is_refused(folder, data.draw(st.sampled_from(CAPACITIES)))


def hostile_units(data: st.DataObject, granularity: str) -> None:
    """A value anywhere in what the manifest says of hidden units exchanged for another."""

    def change(config: dict[str, Any]) -> None:
        group = data.draw(st.sampled_from(config["prunnet"]["units"]["groups"]))
        at = data.draw(st.sampled_from([group, *group["cuts"]]))
        key = data.draw(st.sampled_from(sorted(at)))
        others = [other[key] for other in config["prunnet"]["units"]["groups"] if key in other]
        at[key] = data.draw(st.sampled_from([*others, 2, 3, 8, 64]) | VALUES)

    with Copy(granularity) as folder:
        change_config(folder, change)
        loads_or_is_refused(folder, data.draw(st.sampled_from(CAPACITIES)))


def hostile_file(data: st.DataObject, granularity: str) -> None:
    """A tensor exchanged for random bytes, or the header for another, the hashes made right."""
    with Copy(granularity) as folder:
        capacity = data.draw(st.sampled_from(CAPACITIES))
        name = data.draw(st.sampled_from(Manifest.read(folder).files_for(capacity)))
        if data.draw(st.booleans()):
            file = folder / name
            content = bytearray(file.read_bytes())
            position = data.draw(st.integers(0, len(content) - 1))
            content[position : position + 8] = data.draw(st.binary(max_size=16))
            file.write_bytes(content)
            seal(folder)
        else:

            def change(tensors: dict[str, torch.Tensor]) -> None:
                key = data.draw(st.sampled_from(sorted(tensors)))
                drawn = torch.tensor(list(data.draw(st.binary(min_size=8, max_size=64))))
                length = drawn.numel() // 8 * 8
                dtype = data.draw(st.sampled_from([tensors[key].dtype, torch.float32]))
                value = drawn[:length].to(torch.uint8).view(dtype)
                count = tensors[key].numel()
                repeated = value.repeat(-(-count // value.numel()))[:count]
                keep = data.draw(st.booleans())
                tensors[key] = repeated.view(tensors[key].shape) if keep else value

            rewrite(folder, name, change)
        loads_or_is_refused(folder, capacity)


KINDS = [
    *[(kind, g) for kind in (damaged_bytes, hostile_config, hostile_file) for g in SAVES],
    (hostile_units, "channel"),
]


@pytest.mark.parametrize(("case", "granularity"), KINDS)
def test_a_few_cases(case: Any, granularity: str) -> None:  # noqa: ANN401
    few(given(st.data())(lambda data: case(data, granularity)))()


@pytest.mark.slow
@pytest.mark.parametrize(("case", "granularity"), KINDS)
def test_seven_hundred_cases_of_each_kind(case: Any, granularity: str) -> None:  # noqa: ANN401
    many(given(st.data())(lambda data: case(data, granularity)))()


@pytest.mark.parametrize("granularity", SAVES)
def test_the_copy_is_of_a_checkpoint_that_loads(granularity: str) -> None:
    config = json.loads((saved(granularity) / "config.json").read_text())
    assert config["architecture"] == "test_resnet"
    assert expected(granularity, None).keys() > expected(granularity, 1.0).keys()
