"""The page and picture of latency, from made-up results, and what it compares with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from prunnet_pml.slimmable import make_slimmable, set_width

KINDS = {
    "dense 1": 1.0,
    **{f"channel {c:g}": c for c in (0.2, 0.4, 0.6, 0.8)},
    "zeros 0.2": 1.0,
}


@pytest.fixture
def made_up() -> dict[str, Any]:
    """Latencies that are a tenth above the capacity, of one network and two runtimes."""
    sizes = {
        key: {"macs": int(1e9 * c), "parameters": int(1e7 * c), "file_bytes": int(4e7 * c)}
        for key, c in KINDS.items()
    }
    turns = {
        key: {
            "ratio": c + 0.1, "ratio_min": c, "ratio_max": c + 0.2, "milliseconds": 50 * c,
        }
        for key, c in KINDS.items()
    }  # fmt: skip
    compiled = {key: turns[key] for key in ("dense 1", "channel 0.2")}
    memory = {key: {"1": 100 * c, "32": 300 * c} for key, c in KINDS.items()}
    network = {
        "sizes": sizes, "memory": memory,
        "eager": {"1": turns, "32": turns}, "compile": {"1": compiled},
    }  # fmt: skip
    return {
        "torch": "2.99", "machine": "abacus",
        "pixels": 224,
        "turns": {"1": 15, "32": 3},
        "targets": {"macs": 0.3, "latency": 0.35},
        "networks": {"resnet18": network},
    }  # fmt: skip


def test_the_page_says_what_was_measured(benchmarks: Path, made_up: dict[str, Any]) -> None:
    from pages.latency import latency_page

    page = latency_page(made_up)
    assert "| network | MACs | eager, 1 | eager, 32 | compile, 1 |" in page
    assert "| resnet18 | 0.200 | 0.300 (0.20 to 0.40) | 0.300 (0.20 to 0.40) |" in page
    assert "| resnet18 | 100% | 10.00 M | 1000 M | 40.0 | 50 ms | 50 ms | 50 ms |" in page
    assert "| resnet18 | 40% | 0.40 | 0.40 | 16.0 | 0.50 | 0.50 | - |" in page
    assert "| resnet18 | zeros | 1.00 | 1.00 | 1.10 |" in page
    assert "| resnet18 | 32 | 300 | 240 | 180 | 120 | 60 |" in page
    assert "Not measured yet." in latency_page({})
    assert "Measured with torch 2.99 on a CPU of type abacus." in page
    page = latency_page(made_up | {"onnxruntime": "1.99", "cpu": "an Abacus 9"})
    assert "Measured with torch 2.99 and ONNX Runtime 1.99 on an Abacus 9." in page


def test_what_misses_its_target_is_bold(benchmarks: Path, made_up: dict[str, Any]) -> None:
    from pages.latency import latency_page

    made_up["targets"] = {"macs": 0.19, "latency": 0.3002}
    network = made_up["networks"]["resnet18"]
    network["eager"]["32"] = {**network["eager"]["32"], "channel 0.2": {
        "ratio": 0.3004, "ratio_min": 0.2, "ratio_max": 0.4, "milliseconds": 10,
    }}  # fmt: skip
    row = "| resnet18 | **0.200** | 0.300 (0.20 to 0.40) | **0.300** (0.20 to 0.40) |"
    assert row in latency_page(made_up)


def test_the_picture_has_a_panel_for_every_network(
    benchmarks: Path, made_up: dict[str, Any], tmp_path: Path
) -> None:
    from drawings.picture import is_current, write_picture
    from pages.latency import latency_pictures

    [(name, picture)] = latency_pictures(made_up).items()
    assert picture.numbers["resnet18"]["eager"][0] == [0.2, pytest.approx(0.3)]
    assert picture.numbers["resnet18"]["compile"] == [[0.2, pytest.approx(0.3)], [1.0, 1.0]]
    write_picture(tmp_path / name, picture)
    assert is_current(tmp_path / name, picture)
    assert latency_pictures({}) == {}


def test_turns_are_compared_within_themselves(
    benchmarks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is twice as slow in one turn changes no ratio."""
    import latency

    clock, speed = [0.0], iter([9, 9, 1, 1, 2, 2, 1, 1])
    monkeypatch.setattr(latency.time, "process_time", lambda: clock[0])

    def takes(seconds: float) -> None:
        clock[0] += seconds * next(speed)

    runs = {"dense": lambda: takes(4), "pruned": lambda: takes(1)}
    found = latency.take_turns(runs, 3)
    assert found["pruned"] == {
        "ratio": 0.25, "ratio_min": 0.25, "ratio_max": 0.25, "milliseconds": 1000,
    }  # fmt: skip


def test_what_is_slimmed_is_the_slimmable_network_at_its_width(benchmarks: Path) -> None:
    import latency_networks

    dense = timm.create_model("resnet18", num_classes=8).eval()
    cut = latency_networks.slimmed(dense, 0.2)
    assert all(type(m) is not nn.Conv2d or m.weight.is_contiguous() for m in cut.modules())
    slimmable = make_slimmable(dense, (1.0, 0.2)).eval()
    images = torch.randn(1, *latency_networks.INPUT_SIZE)
    with torch.no_grad():
        torch.testing.assert_close(cut(images), set_width(slimmable, 0.2)(images))
