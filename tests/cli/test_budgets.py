"""Limits instead of a capacity, as a shell gives them to ``prunnet prune`` and ``export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

import prunnet_pml as prunnet
from prunnet_pml.cli import app
from prunnet_pml.cli.subnetworks import quantity
from prunnet_pml.hub import save_pretrained


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(2)
    network = timm.create_model("test_resnet", num_classes=8)
    return prunnet.make_prunable(network, granularity="channel").eval()


@pytest.fixture(scope="module")
def channels(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of hidden units."""
    folder = tmp_path_factory.mktemp("channels") / "net"
    save_pretrained(model, folder)
    return folder


def run(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.filterwarnings("default::prunnet_pml.InterpolationWarning")
def test_prune_to_a_budget_comes_back_from_state_dict_and_json(
    channels: Path, model: nn.Module, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    found = run("prune", channels, "--macs", "60M", "--params", "300k", "--out", out)
    assert found["capacity"] == prunnet.capacity_for(model, macs=60e6, params=300e3)
    names = {"config.json", "model.safetensors", "kept_units.json"}
    assert {file.name for file in out.iterdir()} == names
    kept = json.loads((out / "kept_units.json").read_text())
    config = json.loads((out / "config.json").read_text())
    plain = timm.create_model(config["architecture"], num_classes=config["num_classes"])
    again = prunnet.apply_kept_units(plain, kept).eval()
    again.load_state_dict(load_file(out / "model.safetensors"))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad(), pytest.warns(prunnet.InterpolationWarning):
        expected = prunnet.prune(model, found["capacity"])(images)
        torch.testing.assert_close(again(images), expected)


@pytest.mark.filterwarnings("default::prunnet_pml.InterpolationWarning")
def test_weights_are_pruned_to_bytes_for_stock_timm(
    saved: Path, network: nn.Module, tmp_path: Path
) -> None:
    arguments = ["prune", str(saved), "--bytes", "1M", "--out", str(tmp_path / "student"), "--json"]
    result = CliRunner().invoke(app, arguments)
    found = json.loads(result.stdout)
    assert "0.8, 1 are known. `--capacity 0.6` is the next smaller one" in result.stderr
    assert found["capacity"] == prunnet.capacity_for(network, bytes=1e6) < 1
    loaded = timm.create_model(f"local-dir:{tmp_path / 'student'}", pretrained=True)
    with pytest.warns(prunnet.InterpolationWarning):
        expected = prunnet.prune(network, found["capacity"]).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.state_dict().items())
    assert (tmp_path / "student" / "model.safetensors").stat().st_size > 1e6
    for command in ("prune", "export"):  # which say so
        told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "400"}).stdout
        assert "as precise as they are written" in told
        assert "as the Hub stores them; the file written here holds zeros in full" in told


@pytest.mark.filterwarnings("default::prunnet_pml.InterpolationWarning")
def test_bytes_are_those_of_the_precision_that_is_written(
    model: nn.Module, network: nn.Module, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    save_pretrained(model, tmp_path / "channels", precision="float16")
    found = run("prune", tmp_path / "channels", "--bytes", "300k", "--macs", "1G", "--out", out)
    size = sum(tensor.nbytes for tensor in load_file(out / "model.safetensors").values())
    assert 290_000 < size <= 300_000
    file = run("export", tmp_path / "channels", "--bytes", "300k", "--out", tmp_path / "a.onnx")
    assert file["capacity"] < found["capacity"]  # of float32
    save_pretrained(network, tmp_path / "weights", precision="float16")
    found = run("prune", tmp_path / "weights", "--bytes", "300k", "--out", tmp_path / "zeros")
    on_the_hub = save_pretrained(
        network, tmp_path / "bands", capacities=[found["capacity"]], precision="float16"
    )
    assert 250_000 < on_the_hub.bytes_for(found["capacity"]) <= 300_000


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (["--macs", "1k"], "`macs` should be at least"),
        (["--macs", "many"], "should be a number such as 300M"),
        (["--capacity", "0.2", "--bytes", "5M"], "Either a capacity or limits should be given"),
        ([], "Either a capacity or limits should be given"),
    ],
)
def test_what_no_subnetwork_reaches_writes_nothing(
    channels: Path, tmp_path: Path, limits: list[str], message: str
) -> None:
    arguments = ["prune", str(channels), *limits, "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format_", ["onnx", "pt2"])
def test_export_names_the_file_by_source_and_capacity(
    channels: Path, model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run("export", channels, "--capacity", "0.4", "--format", format_)
    file = tmp_path / f"net-40.{format_}"
    assert list(tmp_path.iterdir()) == [file]
    size = file.stat().st_size
    expected = {"file": file.name, "capacity": 0.4, "bytes": size}
    assert found == {**expected, "space_id": prunnet.space_id(model)}
    if format_ == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file)
        metadata = session.get_modelmeta().custom_metadata_map
        assert metadata["prunnet_space_id"] == prunnet.space_id(model)
        assert float(metadata["prunnet_capacity"]) == 0.4


@pytest.mark.parametrize(
    ("text", "expected"), [("300M", 300e6), ("1.5g", 1.5e9), ("20k", 20e3), ("7", 7), ("1e6", 1e6)]
)
def test_quantities(text: str, expected: float) -> None:
    assert quantity(text) == expected
