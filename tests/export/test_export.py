"""Exported files run where neither prunnet_pml nor timm can be imported, and compute the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import timm
import torch
from channel_networks import PROMISED, ByHand
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.export import checking, export_onnx, export_program, onnx_file, program_file
from prunnet_pml.export.exportable import Exportable

ALONE = """
import sys
for name in ("prunnet_pml", "timm", "torch_pruning"):
    sys.modules[name] = None  # importing it raises ImportError
import json, numpy
file, given, output = sys.argv[1:]
batches = list(numpy.load(given).values())
if file.endswith(".onnx"):
    sys.modules["torch"] = None
    import onnxruntime
    session = onnxruntime.InferenceSession(file)
    found = [session.run(["embeddings"], {"images": images})[0] for images in batches]
    metadata = session.get_modelmeta().custom_metadata_map
else:
    import torch
    extra = {"prunnet.json": ""}
    network = torch.export.load(file, extra_files=extra).module()
    found = [network(torch.from_numpy(images)).detach().numpy() for images in batches]
    metadata = json.loads(extra["prunnet.json"])
numpy.savez(output, *found)
print(json.dumps(metadata))
"""

FORMATS: dict[str, Callable[..., Path]] = {".onnx": export_onnx, ".pt2": export_program}
SIZES = {"test_vit": (3, 64, 64), "test_resnet": (3, 64, 64)}


def run_alone(file: Path, batches: list[Tensor]) -> tuple[list[Tensor], dict[str, str]]:
    """Embeddings and metadata as a process finds them that has neither."""
    given, output = file.with_suffix(".given.npz"), file.with_suffix(".found.npz")
    np.savez(given, *(images.numpy() for images in batches))
    printed = subprocess.run(
        [sys.executable, "-c", ALONE, str(file), str(given), str(output)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=file.parent,
    ).stdout
    found = [torch.from_numpy(array) for array in np.load(output).values()]
    given.unlink()
    output.unlink()
    return found, json.loads(printed)


def check_runs_alone(model: nn.Module, size: tuple[int, ...], folder: Path, suffix: str) -> None:
    pruned = prunnet.prune(model, 0.4)
    file = FORMATS[suffix](model, folder / f"network{suffix}", 0.4, input_size=size)
    batches = [torch.randn(batch, *size) for batch in (1, 5)]
    found, metadata = run_alone(file, batches)
    for images, embeddings in zip(batches, found, strict=True):
        with torch.no_grad():
            expected = pruned(images)
        assert embeddings.shape == expected.shape
        assert (embeddings - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert metadata["prunnet_space_id"] == prunnet.space_id(model) == prunnet.read_space_id(file)
    assert float(metadata["prunnet_capacity"]) == 0.4
    assert json.loads(metadata["input_size"]) == list(size)
    assert list(folder.iterdir()) == [file], "one file, and nothing temporary"


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("granularity", ["weight", "channel"])
@pytest.mark.parametrize("name", SIZES)
def test_a_subnetwork_runs_without_us(
    name: str, granularity: str, suffix: str, tmp_path: Path
) -> None:
    plain = networks.build(name)
    arguments = {"example_input": torch.randn(1, *SIZES[name])} if granularity != "weight" else {}
    model = prunnet.make_prunable(plain, granularity=granularity, **arguments)
    check_runs_alone(model, SIZES[name], tmp_path, suffix)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("granularity", ["weight", "channel"])
@pytest.mark.parametrize("name", PROMISED)
def test_promised_networks_run_without_us(
    name: str, granularity: str, suffix: str, tmp_path: Path
) -> None:
    model = prunnet.make_prunable(networks.build(name, full_size=True), granularity=granularity)
    check_runs_alone(model, timm.get_pretrained_cfg(name).input_size, tmp_path, suffix)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_pruned_network_is_exported_with_what_is_said_of_it(suffix: str, tmp_path: Path) -> None:
    """And with what timm knows of how its images are prepared."""
    plain = timm.create_model("test_resnet", num_classes=networks.EMBEDDING)
    file = tmp_path / "new" / f"network{suffix}"
    FORMATS[suffix](plain, file, 0.25, space_id="abc", check=False)
    assert plain.training, "the network stays as it is"
    (found,), metadata = run_alone(file, [torch.randn(3, 3, 160, 160)])
    assert found.shape == (3, networks.EMBEDDING)
    assert metadata["prunnet_space_id"] == "abc"
    assert metadata["prunnet_capacity"] == "0.25"
    assert json.loads(metadata["input_size"]) == [3, 160, 160]
    assert json.loads(metadata["mean"]) == [0.5, 0.5, 0.5]
    assert json.loads(metadata["std"]) == [0.5, 0.5, 0.5]
    assert metadata["interpolation"] == "bilinear"


def test_the_opset_is_the_one_that_is_stated(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    plain = timm.create_model("test_resnet", num_classes=8)
    file = export_onnx(plain, tmp_path / "network.onnx", input_size=(3, 32, 32))
    loaded = onnx.load(file)
    assert {entry.version for entry in loaded.opset_import if not entry.domain} == {18}
    onnx.checker.check_model(loaded, full_check=True)
    (images,), (embeddings,) = loaded.graph.input, loaded.graph.output
    dimensions = [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim]
    assert (images.name, dimensions) == ("images", ["batch", 3, 32, 32])
    assert embeddings.name == "embeddings"


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_computes_something_else_is_not_written(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"network{suffix}"
    file.write_bytes(b"what was here before")

    def other(made_of: Exportable, run: Callable[[Tensor], Tensor]) -> None:
        checking.check_outputs(made_of, lambda images: run(images) * 1.001)

    monkeypatch.setattr(onnx_file, "check_outputs", other)
    monkeypatch.setattr(program_file, "check_outputs", other)
    with pytest.raises(RuntimeError, match="The exported network should compute what `model` does"):
        FORMATS[suffix](ByHand(), file, input_size=(3, 32, 32))
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == b"what was here before"


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_disk_that_is_full_leaves_the_old_file(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"network{suffix}"
    file.write_bytes(b"what was here before")

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(torch.export, "save", full)
    monkeypatch.setattr(torch.onnx.ONNXProgram, "save", full)
    with pytest.raises(OSError, match="No space left"):
        FORMATS[suffix](ByHand(), file, input_size=(3, 32, 32))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"what was here before"]


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_named(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'prunnet-pml\[onnx\]'"):
        export_onnx(ByHand(), tmp_path / "network.onnx", input_size=(3, 32, 32))


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_missing_or_wrong_is_named(suffix: str, tmp_path: Path) -> None:
    export, file = FORMATS[suffix], tmp_path / f"network{suffix}"
    with pytest.raises(ValueError, match=r"`input_size` should be .* Found None for ByHand"):
        export(ByHand(), file)
    with pytest.raises(ValueError, match=r"`capacity` should be in \(0, 1\]. Found None"):
        export(prunnet.make_prunable(ByHand()), file, input_size=(3, 32, 32))
    with pytest.raises(ValueError, match=r"`capacity` should be in \(0, 1\]. Found 2"):
        export(ByHand(), file, 2, input_size=(3, 32, 32))
    assert list(tmp_path.iterdir()) == []
    file.mkdir()
    with pytest.raises(ValueError, match=r"`path` should be a file\. Found the folder .*/network"):
        export("no network is looked at", file)


class Dictionary(ByHand):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"embeddings": super().forward(images)}


class Maps(ByHand):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[..., None]


@pytest.mark.parametrize(
    ("network", "found"), [(Dictionary, "dict"), (Maps, r"a tensor .*\(2, \d")]
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_embeddings_are_one_tensor(
    network: type[nn.Module], found: str, suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"network{suffix}"
    message = f"`model` should return its embeddings .* Found {found}"
    with pytest.raises(ValueError, match=message):
        FORMATS[suffix](network(), file, input_size=(3, 32, 32))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_network_in_half_precision_is_exported_as_such(suffix: str, tmp_path: Path) -> None:
    """And checked as closely as its own rounding allows."""
    file = FORMATS[suffix](ByHand().half(), tmp_path / f"network{suffix}", input_size=(3, 32, 32))
    (found,), _ = run_alone(file, [torch.randn(3, 3, 32, 32).half()])
    assert found.dtype == torch.float16


def test_bfloat16_is_for_programs_alone(tmp_path: Path) -> None:
    network = ByHand().bfloat16()
    export_program(network, tmp_path / "network.pt2", input_size=(3, 32, 32))
    with pytest.raises(ValueError, match=r"in float32 or float16\. Found bfloat16"):
        export_onnx(network, tmp_path / "network.onnx", input_size=(3, 32, 32))


def test_float64_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"in float32 or float16\. Found float64"):
        export_onnx(ByHand().double(), tmp_path / "network.onnx", input_size=(3, 32, 32))


def test_a_compiled_network_is_exported_as_what_it_was_compiled_from(tmp_path: Path) -> None:
    network = ByHand().eval()
    file = export_program(torch.compile(network), tmp_path / "a.pt2", input_size=(3, 32, 32))
    images = torch.randn(3, 3, 32, 32)
    (found,), _ = run_alone(file, [images])
    torch.testing.assert_close(found, network(images), rtol=1e-4, atol=1e-5)


def test_other_suffixes_and_networks_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"`path` should end in '\.pt2'"):
        export_program(ByHand(), tmp_path / "network.onnx", input_size=(3, 32, 32))
    monkeypatch.setattr(onnx_file, "_LARGEST", 1000)
    with pytest.raises(ValueError, match=r"`model` should have at most 1,000 bytes"):
        export_onnx(ByHand(), tmp_path / "network.onnx", input_size=(3, 32, 32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"opset": 5}, r"`opset` should be an integer from 18 on\. Found 5\."),
        ({"opset": "x"}, r"`opset` should be an integer from 18 on\. Found 'x'\."),
        ({"path": "network.txt"}, r"`path` should end in '\.onnx'\. Found 'network\.txt'\."),
    ],
)
def test_what_onnx_can_not_hold_is_said_first(arguments: dict[str, Any], message: str) -> None:
    model = prunnet.make_prunable(timm.create_model("test_resnet", num_classes=8))
    with pytest.raises(ValueError, match=message):
        export_onnx(model, **{"path": "network.onnx", "capacity": 0.4, **arguments})


def test_a_prunable_network_has_a_space_of_its_own(tmp_path: Path) -> None:
    model = prunnet.make_prunable(networks.TinyEmbedder())
    with pytest.raises(ValueError, match=r"`space_id` should be left out .* Found 'other'"):
        export_program(model, tmp_path / "network.pt2", 0.5, input_size=(3, 8, 8), space_id="other")
    assert not any(tmp_path.iterdir())
