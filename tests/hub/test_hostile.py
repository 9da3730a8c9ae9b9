"""Damaged and hostile checkpoints: one kind of error that names the file, nothing run or filled."""

from __future__ import annotations

import json
import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from checkpoints import change_config, copy_of, largest_scored, rewrite, save_small, seal
from torch import Tensor

import prunnet_pml as prunnet
from prunnet_pml.hub import CheckpointError, Manifest, from_pretrained, save_pretrained

CONV = "layer1.0.conv1.weight"
BAND, SCORES = "prunnet/band-020.safetensors", "prunnet/scores-020.safetensors"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "saved"
    save_small(folder)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return copy_of(good, tmp_path / "damaged")


def refused(folder: Path, match: str, capacity: float | None = 0.2) -> None:
    with pytest.raises(CheckpointError, match=match):
        from_pretrained(folder, capacity)


@pytest.mark.parametrize("name", [BAND, SCORES])
def test_a_truncated_file_is_named_with_its_sizes(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-10])
    refused(folder, f"{name} should have {len(content)} bytes.*Download it again", None)


def test_a_flipped_bit_is_found_wherever_it_is(folder: Path) -> None:
    file = folder / BAND
    content = bytearray(file.read_bytes())
    for position in (0, 9, len(content) // 2, len(content) - 1):
        content[position] ^= 4
        file.write_bytes(content)
        refused(folder, "should have SHA-256")
        content[position] ^= 4


def test_a_flipped_bit_in_the_manifest_is_found(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    changed = text.replace('"trained_capacities": [0.2', '"trained_capacities": [0.3')
    assert changed != text
    (folder / "config.json").write_text(changed)
    refused(folder, r"config.json.*should be as it was saved")


def test_bands_that_changed_places_are_told_apart_even_with_their_hashes(folder: Path) -> None:
    first, second = folder / BAND, folder / "prunnet/band-050.safetensors"
    content = first.read_bytes()
    second.replace(first)
    second.write_bytes(content)
    refused(folder, "should have .* bytes|SHA-256")
    seal(folder)
    refused(folder, "files were exchanged")


def test_a_band_of_another_space_is_refused(folder: Path, tmp_path: Path) -> None:
    save_small(tmp_path / "other")
    (tmp_path / "other" / BAND).replace(folder / BAND)
    seal(folder)
    refused(folder, "prunnet_space_id.*exchanged")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / BAND).unlink()
    with pytest.raises(FileNotFoundError, match=f"{BAND} is needed"):
        from_pretrained(folder, 0.2)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        from_pretrained(folder / "prunnet", 0.2)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"prunnet": NaN}', "[" * 100_000, '{"a":' * 100_000, "\ud800"],
    ids=["empty", "cut", "list", "null", "NaN", "deep", "deep-objects", "not-utf-8"],
)
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(folder, r"config\.json should ")


def test_a_config_of_gigabytes_is_not_read(folder: Path) -> None:
    os.truncate(folder / "config.json", 5 << 30)  # sparse
    refused(folder, r"config\.json should have at most")


def test_a_plain_checkpoint_of_timm_is_told_apart(folder: Path) -> None:
    change_config(folder, lambda config: config.pop("prunnet"))
    refused(folder, "plain network: load it with timm")


def in_block(**values: Any) -> Callable[[dict[str, Any]], None]:  # noqa: ANN401
    return lambda config: config["prunnet"].update(values)


def first_tensor(**values: Any) -> Callable[[dict[str, Any]], None]:  # noqa: ANN401
    return lambda config: config["prunnet"]["tensors"][CONV].update(values)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (in_block(format=3), "format 1 or 2. Found format 3"),
        (in_block(format=2), "`units` should be an object. Found None"),
        (in_block(format="1"), "`format` should be a whole number. Found '1'"),
        (in_block(space_id=""), "`space_id` should be a text"),
        (in_block(space_id="other"), "exchanged"),
        (in_block(precision="float8"), "`precision` should be one of"),
        (in_block(scores=["uint8"]), "`scores` should be one of"),
        (in_block(capacities=[1.0]), "`files` should be"),
        (in_block(capacities=[0.5, 0.2, 1.0]), "`capacities` should be ascending"),
        (in_block(capacities=[0.2, float("nan"), 1.0]), "NaN is no JSON"),
        (in_block(capacities="all"), "`capacities` should be ascending"),
        (in_block(trained_capacities=[]), "`trained_capacities` should be ascending"),
        (in_block(norm_capacities=[0.2, 0.3, 0.5, 1.0]), "should hold `.*@0.3`"),
        (in_block(tensors=[]), "`tensors`.* should be an object"),
        (in_block(tensors={}), "more than 0 parameters"),
        (in_block(files={}), "`files` should be"),
        (first_tensor(shape=[1 << 40, 1 << 40]), "should hold `layer1.0.conv1.weight:mask`"),
        (first_tensor(shape=[32, 288]), "should be \\(32, 288\\)"),
        (first_tensor(shape=[-1]), "`shape` should be"),
        (first_tensor(shape=[0]), "should be scored numbers"),
        (first_tensor(shape=[1] * 100), "`shape` should be"),
        (first_tensor(dtype="object"), "`dtype` should be one of"),
        (first_tensor(dtype="int64"), "should be scored numbers"),
        (first_tensor(dtype="float64"), "damaged in `layer1.0.conv1.weight`"),
        (first_tensor(kind="plain"), "should hold `layer1.0.conv1.weight`"),
        (first_tensor(kind="norm"), "should hold `layer1.0.conv1.weight@0.2`"),
        (first_tensor(kind="code"), "`kind` should be one of"),
    ],
)
def test_a_manifest_of_nonsense_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], match: str
) -> None:
    change_config(folder, change)
    refused(folder, match, None)


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "prunnet/../../x", "C:\\x"])
def test_a_path_out_of_the_folder_can_not_be_named(folder: Path, name: str) -> None:
    def rename(config: dict[str, Any]) -> None:
        files = config["prunnet"]["files"]
        files[name] = files.pop(BAND)

    change_config(folder, rename)
    refused(folder, "`files` should be")


def configured(**values: Any) -> Callable[[dict[str, Any]], None]:  # noqa: ANN401
    return lambda config: config.update(values)


def arguments(**values: Any) -> Callable[[dict[str, Any]], None]:  # noqa: ANN401
    return lambda config: config["model_args"].update(values)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (configured(architecture="resnet_of_tomorrow"), "timm.list_models.*resnet_of_tomorrow"),
        (configured(architecture=["os", "system"]), "timm.list_models"),
        (configured(architecture="resnet18"), "should describe the network that its files hold"),
        (arguments(num_classes=5), "`fc.weight` should be"),
        (configured(num_classes=10**9), "should be at most"),
        (configured(num_classes="4"), "should describe"),
        (configured(pretrained_cfg=None), "should describe a network of timm"),
        (configured(pretrained_cfg={"unknown": 1}), "should describe a network of timm"),
        (configured(model_args=[]), "should describe a network of timm"),
        (arguments(layers=[100_000, 1, 1, 1]), "more than .* parameters"),
        (arguments(layers=[10**12, 1, 1, 1]), "should be at most"),
        (arguments(pretrained=True), "`model_args` should describe the network alone"),
        (arguments(checkpoint_path="/etc/passwd"), "`model_args` should describe the network"),
        (arguments(pretrained_cfg_overlay={"file": "x.pth"}), "`model_args` should describe"),
        (arguments(nonsense=1), "should describe a network of timm.*nonsense"),
        (arguments(model_name="vit"), "should describe a network of timm"),
    ],
)
def test_a_network_that_is_not_the_one_saved_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], match: str
) -> None:
    change_config(folder, change)
    refused(folder, match)


def test_buffers_that_grow_with_the_images_are_bounded(tmp_path: Path) -> None:
    """Swin's attention masks: terabytes at a million pixels, and in no state dict."""
    network = timm.create_model(
        "swin_tiny_patch4_window7_224",
        img_size=224,
        depths=(2, 2, 1, 1),
        embed_dim=8,
        num_heads=(1, 1, 2, 2),
        num_classes=4,
    )
    save_pretrained(prunnet.make_prunable(network), tmp_path)
    from_pretrained(tmp_path, 0.2)
    change_config(tmp_path, arguments(img_size=224 << 10))
    refused(tmp_path, "its buffers should be smaller")


def part(kind: str, value: Tensor | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        name = f"{largest_scored(folder)}:{kind}"
        for file in (BAND, SCORES):
            rewrite(folder, file, lambda held: replace_if_there(held, name, value))

    return change


def replace_if_there(tensors: dict[str, Tensor], name: str, value: Tensor | None) -> None:
    if name in tensors and value is None:
        del tensors[name]
    elif name in tensors:
        tensors[name] = value


BOMB = torch.from_numpy(np.frombuffer(zlib.compress(bytes(1 << 28)), np.uint8).copy())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (part("mask", None), "should hold `.*:mask`. Found none"),
        (part("mask", torch.zeros(3, dtype=torch.uint8)), "should hold `.*:mask` as torch.uint8"),
        (part("mask", torch.zeros(3)), "Found F32"),
        (part("lower", torch.zeros(3, dtype=torch.uint8)), "lower bytes"),
        (part("upper", torch.zeros(3, dtype=torch.uint8)), "don't inflate"),
        (part("upper", BOMB), "should inflate to"),
        (part("codes", torch.zeros(3, dtype=torch.uint8)), "should hold `.*:codes`.*shape"),
        (part("levels", torch.zeros(1)), "codes should be of 1 levels"),
        (part("levels", torch.full((128,), torch.nan)), "finite numbers.*levels"),
        (part("levels", torch.zeros(128, dtype=torch.float64)), "Found F64"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    folder: Path, change: Callable[[Path], None], match: str
) -> None:
    change(folder)
    refused(folder, f"020.safetensors .*{match}.*(again)?", None)


def test_a_mask_that_keeps_nothing_is_refused(folder: Path) -> None:
    name = largest_scored(folder)

    def empty(tensors: dict[str, Tensor]) -> None:
        tensors[f"{name}:mask"].zero_()
        for kind in ("lower", "upper"):
            tensors[f"{name}:{kind}"] = torch.zeros(0, dtype=torch.uint8)

    rewrite(folder, BAND, empty)
    refused(folder, f"should keep .* values of `{name}`.*Found 0")


@pytest.mark.parametrize("name", ["fc.bias", "bn1.running_var@0.2"])
def test_a_weight_that_is_no_number_is_refused(folder: Path, name: str) -> None:
    rewrite(folder, BAND, lambda tensors: tensors[name].fill_(torch.nan))
    refused(folder, f"finite numbers. Found others in `{name}`")


def test_scored_weights_that_are_no_numbers_are_refused(folder: Path) -> None:
    name = largest_scored(folder)

    def spoil(tensors: dict[str, Tensor]) -> None:
        upper, lower = tensors[f"{name}:upper"], tensors[f"{name}:lower"]
        size = len(lower) // 3
        tensors[f"{name}:upper"] = torch.full((size,), 0x7F, dtype=upper.dtype)
        lower.fill_(0xFF)

    rewrite(folder, BAND, spoil)
    refused(folder, f"finite numbers. Found others in `{name}`")


def test_what_is_no_safetensors_is_refused_whatever_its_hash(folder: Path) -> None:
    marker = folder / "run"

    class Pickled:
        def __reduce__(self) -> tuple[Any, ...]:
            return marker.touch, ()

    torch.save({"weight": Pickled()}, folder / BAND)
    seal(folder)
    refused(folder, "should be safetensors")
    (folder / BAND).write_bytes((1 << 62).to_bytes(8, "little") + b"{}")  # an absurd header
    seal(folder)
    refused(folder, "should be safetensors")
    assert not marker.exists()


@pytest.mark.parametrize("target", ["/dev/zero", "nowhere", "prunnet", BAND])
def test_a_link_that_leads_to_no_file_is_refused(folder: Path, target: str) -> None:
    (folder / BAND).unlink()
    (folder / BAND).symlink_to(target if target.startswith("/") else folder / target)
    with pytest.raises((CheckpointError, FileNotFoundError, OSError), match="020"):
        from_pretrained(folder, 0.2)


def test_a_link_to_the_file_itself_is_followed(folder: Path) -> None:
    """As the Hub's cache holds them."""
    (folder / BAND).rename(folder / "blob")
    (folder / BAND).symlink_to(folder / "blob")
    from_pretrained(folder, 0.2)


def test_a_refused_checkpoint_takes_no_memory(folder: Path) -> None:
    """A bomb that inflates to 256 MB, and a manifest that claims terabytes."""
    part("upper", BOMB)(folder)
    tracemalloc.start()
    refused(folder, "should inflate to")
    change_config(folder, first_tensor(shape=[1 << 40]))
    refused(folder, "should hold `layer1.0.conv1.weight:mask`")
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_a_good_copy_loads(folder: Path) -> None:
    """What all refusals above are worth."""
    seal(folder)
    json.loads((folder / "config.json").read_text())
    assert Manifest.read(folder).capacities == (0.2, 0.5, 1.0)
    for capacity in (0.2, 0.3, 1.0, None):
        from_pretrained(folder, capacity)
