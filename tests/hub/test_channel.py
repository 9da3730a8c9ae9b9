"""Granularity "channel": a device gets the smaller network, and downloads no more than that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import networks
import pytest
import timm
import torch
from channel_networks import ByHand, make_case
from hub_endpoint import Endpoint
from networks import assert_equal_states, snapshot
from torch import nn

import prunnet_pml as prunnet
import prunnet_pml.registry.timm  # its names
from prunnet_pml.hub import (
    Manifest,
    download,
    from_pretrained,
    push_to_hub,
    save_pretrained,
    upgrade,
    write_card,
)

CAPACITIES = (0.2, 0.3, 0.4, 0.5, 0.8, 1.0)


def trained(name: str, **arguments: object) -> nn.Module:
    """Scores that no longer rank as the weights do, and some of them negative."""
    model = make_case(name, **arguments).model
    with torch.no_grad():
        for scores in prunnet.score_parameters(model):
            scores.mul_(torch.randn_like(scores))
    return model


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return trained("test_resnet")


@pytest.fixture(scope="module")
def saved(resnet: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "net"
    save_pretrained(resnet, folder)
    return folder


def assert_same_network(one: nn.Module, other: nn.Module) -> None:
    """Of the same classes and sizes, with the same values."""
    assert_equal_states(one, snapshot(other))
    modules = dict(other.named_modules())
    for name, module in one.named_modules():
        assert type(module) is type(modules[name])
        assert repr(module) == repr(modules[name])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("test_resnet", {"round_to": 8}),
        ("test_efficientnet", {}),
        ("test_convnext", {}),
        ("test_vit", {"capacities": (0.3, 0.7)}),
    ],
)
def test_every_capacity_is_what_prune_returns(
    name: str, arguments: dict[str, object], tmp_path: Path
) -> None:
    model = trained(name, **arguments)
    save_pretrained(model, tmp_path / "saved")
    for capacity in CAPACITIES[1:]:
        loaded = from_pretrained(tmp_path / "saved", capacity)
        pruned = prunnet.prune(model, capacity)
        assert_same_network(loaded, pruned)
        images = networks.images(name)
        with torch.no_grad():
            assert torch.equal(loaded(images), pruned(images))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnext50_32x4d", "swin_tiny_patch4_window7_224", "regnety_002"])
def test_groups_windows_and_gates_come_back(name: str, tmp_path: Path) -> None:
    test_every_capacity_is_what_prune_returns(name, {}, tmp_path)


def test_a_hand_written_network_is_brought_along(tmp_path: Path) -> None:
    model = trained("by hand")
    save_pretrained(model, tmp_path / "saved")
    for capacity in (0.2, 0.45):
        loaded = from_pretrained(tmp_path / "saved", capacity, model=ByHand())
        assert_same_network(loaded, prunnet.prune(model, capacity))
        assert loaded.blocks[0].attention.num_heads < 4
    again = from_pretrained(tmp_path / "saved", model=ByHand())
    assert_equal_states(again, snapshot(model))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_capacity_is_pruned_at_the_stored_precision(
    resnet: nn.Module, precision: str, tmp_path: Path
) -> None:
    save_pretrained(resnet, tmp_path / "saved", precision=precision, scores="uint8")
    pruned = prunnet.prune(resnet, 0.4)
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.copy_(parameter.to(getattr(torch, precision)))
    assert_same_network(from_pretrained(tmp_path / "saved", 0.4), pruned)


@pytest.mark.parametrize("round_to", [None, 8])
def test_the_prunable_network_comes_back_without_torch_pruning(
    round_to: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained("test_vit", round_to=round_to)
    before = snapshot(model)
    prunnet.set_capacity(model, 0.4)  # what it is read at now makes no difference
    save_pretrained(model, tmp_path / "saved", scores=None)  # they are there all the same
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    loaded = from_pretrained(tmp_path / "saved")
    assert_equal_states(loaded, before)
    assert prunnet.space_id(loaded) == prunnet.space_id(model)
    assert prunnet.trained_capacities(loaded) == prunnet.trained_capacities(model)
    assert prunnet.hidden_units(loaded) == prunnet.hidden_units(model)
    for capacity in CAPACITIES:
        assert prunnet.kept_units(loaded, capacity) == prunnet.kept_units(model, capacity)
        assert_same_network(prunnet.prune(loaded, capacity), prunnet.prune(model, capacity))


def test_training_goes_on_where_it_was(resnet: nn.Module, saved: Path) -> None:
    """The same step on the network and on its copy from disk: to the bit."""
    states = []
    for network in (trained("test_resnet"), from_pretrained(saved)):
        network.train().load_state_dict(resnet.state_dict())
        optimizer = prunnet.ConflictAwareOptimizer(
            torch.optim.SGD(network.parameters(), lr=0.1), network
        )
        torch.manual_seed(0)
        images = networks.images("test_resnet")
        for _ in optimizer.capacities():
            network(images).square().sum().backward()
        optimizer.step()
        states.append(snapshot(network))
    assert_equal_states(network, states[0])


def test_a_capacity_needs_its_own_bands_and_no_scores(saved: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(saved)
    assert manifest.granularity == "channel"
    assert not [name for name in manifest.files if "scores" in name]
    assert manifest.files_for(0.3) == manifest.files_for(0.4)
    assert manifest.files_for(None) == manifest.files_for(1.0)
    for capacity in (0.2, 0.3):
        folder = tmp_path / f"for-{capacity}"
        for name in ("config.json", *manifest.files_for(capacity)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((saved / name).read_bytes())
        from_pretrained(folder, capacity)


def test_a_capacity_costs_its_share_of_the_bytes(tmp_path: Path) -> None:
    """Beside names, which count for little where tensors are large."""
    import timm

    model = timm.create_model("resnet10t", num_classes=8)
    prunnet.make_prunable(model, granularity="channel")
    manifest = save_pretrained(model, tmp_path / "saved")
    for capacity in (0.2, 0.4, 0.6, 0.8, 1.0):
        state = prunnet.prune(model, capacity).state_dict()
        bytes_kept = sum(value.nbytes for value in state.values())
        assert manifest.bytes_for(capacity) < 1.01 * bytes_kept


def test_a_device_downloads_its_share_and_upgrades_by_the_difference(
    hub: Endpoint, resnet: nn.Module, saved: Path, tmp_path: Path
) -> None:
    push_to_hub(saved, "team/net")
    manifest = Manifest.read(saved)
    hub.forget()
    folder = download("team/net", 0.2, folder=tmp_path / "device")
    assert_same_network(from_pretrained(folder, 0.2), prunnet.prune(resnet, 0.2))
    sent = {name for name in hub.downloads() if name.startswith("prunnet/")}
    assert sent == {*manifest.files_for(0.2)} == {"prunnet/band-020.safetensors"}
    hub.forget()
    upgrade(folder, 0.4)
    assert_same_network(from_pretrained(folder, 0.4), prunnet.prune(resnet, 0.4))
    sent = {name for name in hub.downloads() if name.startswith("prunnet/")}
    assert sent == {"prunnet/band-040.safetensors"}
    assert_same_network(from_pretrained("team/net", 0.3), prunnet.prune(resnet, 0.3))


def test_below_the_norm_statistics_loading_warns_as_prune_does(
    resnet: nn.Module, saved: Path
) -> None:
    with pytest.warns(UserWarning, match=r"interpolated .*Found 0\.1, where those of 0\.2, "):
        loaded = from_pretrained(saved, 0.1)
    with pytest.warns(UserWarning):
        assert_same_network(loaded, prunnet.prune(resnet, 0.1))


def test_stock_timm_loads_the_dense_network(resnet: nn.Module, saved: Path) -> None:
    code = f"""
import sys
sys.modules["prunnet_pml"] = None  # whoever imports it fails
import timm
from safetensors.torch import save_file
model = timm.create_model("local-dir:{saved}", pretrained=True)
save_file(model.state_dict(), "{saved}.seen")
"""
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True)
    from safetensors.torch import load_file

    seen, dense = load_file(f"{saved}.seen"), prunnet.prune(resnet, 1.0).state_dict()
    assert seen.keys() == dense.keys()
    assert all(torch.equal(value, dense[key]) for key, value in seen.items())


def test_the_same_network_makes_the_same_bytes(
    resnet: nn.Module, saved: Path, tmp_path: Path
) -> None:
    assert save_pretrained(resnet, tmp_path / "again") == Manifest.read(saved)


def test_a_trunk_of_a_bigger_module_is_saved_as_a_part_of_it(tmp_path: Path) -> None:
    trunk = trained("test_resnet")
    bigger = nn.Sequential(trunk, nn.Linear(networks.EMBEDDING, 2)).eval()
    save_pretrained(bigger, tmp_path / "saved")

    def plain() -> nn.Module:
        return nn.Sequential(networks.build("test_resnet"), nn.Linear(networks.EMBEDDING, 2))

    loaded = from_pretrained(tmp_path / "saved", 0.4, model=plain())
    assert_equal_states(loaded, snapshot(prunnet.prune(bigger, 0.4)))
    again = from_pretrained(tmp_path / "saved", model=plain())
    assert_equal_states(again, snapshot(bigger))


def test_the_card_tells_of_a_smaller_network(resnet: nn.Module, tmp_path: Path) -> None:
    save_pretrained(resnet, tmp_path / "net")
    text = write_card(tmp_path / "net").read_text()
    assert "zeros" not in text
    assert "hidden units" in text
    scope: dict[str, nn.Module] = {}
    code = text.split("```python\n")[1].split("```")[0]
    exec(code.replace('"net"', repr(str(tmp_path / "net"))), scope)
    counts = [sum(p.numel() for p in scope[name].parameters()) for name in ("device", "server")]
    assert counts[0] < 0.5 * counts[1]


def test_a_network_made_by_timms_name_comes_back(tmp_path: Path) -> None:
    """None of our arguments stands in what timm rebuilds it from."""
    model = timm.create_model(
        "prunnet_test_resnet", num_classes=8, granularity="channel", round_to=8, capacities=(0.5,)
    )
    save_pretrained(model, tmp_path / "saved")
    student = from_pretrained(tmp_path / "saved", 0.5)
    assert_equal_states(student, snapshot(prunnet.prune(model, 0.5)))
