"""What a team without prunnet_pml gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from networks import SPECS, TINY, build, images
from safetensors.torch import load_file
from torch import nn

import prunnet_pml as prunnet
import prunnet_pml.registry.timm
from prunnet_pml.hub import from_pretrained, save_plain, save_pretrained


def test_stock_timm_loads_the_dense_network_with_no_prunnet_pml(tmp_path: Path) -> None:
    """In a process where it can't be imported; strictly, and to the bit."""
    models = {}
    for name in ("test_resnet", "test_vit"):
        models[name] = prunnet.make_prunable(build(name))
        save_pretrained(models[name], tmp_path / name)
    code = f"""
import sys
sys.modules["prunnet_pml"] = None  # whoever imports it fails
import timm
from safetensors.torch import save_file
for name in {[*models]}:
    folder = f"{tmp_path}/{{name}}"
    model = timm.create_model("local-dir:" + folder, pretrained=True)
    save_file(model.state_dict(), folder + ".seen", {{"class": type(model).__name__}})
try:
    import prunnet_pml
except ImportError:
    print("not there")
"""
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == "not there"
    for name, model in models.items():
        seen, dense = load_file(tmp_path / f"{name}.seen"), prunnet.prune(model, 1.0).state_dict()
        assert seen.keys() == dense.keys()
        assert all(torch.equal(value, dense[key]) for key, value in seen.items())


@pytest.mark.parametrize("name", [*TINY])
def test_the_arguments_that_timm_was_called_with_come_along(name: str, tmp_path: Path) -> None:
    arguments = {"num_classes": 5, "in_chans": 1, **TINY[name].arguments}
    model = timm.create_model(f"prunnet_{name}", capacities=(0.5,), **arguments)
    save_pretrained(model, tmp_path / "saved")
    loaded = from_pretrained(tmp_path / "saved", 0.5)
    assert type(loaded).__name__ == type(prunnet.prune(model, 0.5)).__name__
    batch = torch.randn(1, 1, 64, 64)
    torch.testing.assert_close(loaded(batch), prunnet.prune(model, 0.5)(batch))


def test_a_single_layer_comes_back(tmp_path: Path) -> None:
    layer = prunnet.make_prunable(nn.Linear(16, 8))
    save_pretrained(layer, tmp_path / "saved")
    loaded = from_pretrained(tmp_path / "saved", model=nn.Linear(16, 8))
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in layer.state_dict().items())


def test_what_is_wrapped_is_saved_as_what_is_inside(tmp_path: Path) -> None:
    model = prunnet.make_prunable(timm.create_model("test_resnet", num_classes=4))
    plain = save_pretrained(model, tmp_path / "plain")
    for wrap in (nn.DataParallel, torch.compile):
        assert save_pretrained(wrap(model), tmp_path / wrap.__name__).files == plain.files
    assert prunnet.capacity_for(nn.DataParallel(model), params=2e5) == prunnet.capacity_for(
        model, params=2e5
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capacity": 7}, "`capacity` should be in"),
        ({"dtype": "float16"}, "`dtype` should be a fl"),
    ],
)
def test_what_save_plain_can_not_write(
    arguments: dict[str, object], message: str, tmp_path: Path
) -> None:
    network = timm.create_model("test_resnet", num_classes=4)
    with pytest.raises(ValueError, match=message):
        save_plain(network, tmp_path / "a", **{"space_id": "a", "capacity": 0.2, **arguments})
    assert not (tmp_path / "a").exists()


def test_a_timm_network_that_was_rebuilt_by_hand_is_saved_with_a_warning(tmp_path: Path) -> None:
    def changed() -> nn.Module:
        model = timm.create_model("test_resnet", num_classes=4)
        model.layer4 = nn.Conv2d(64, 96, 1)
        return model

    with pytest.warns(UserWarning, match=r"timm does not rebuild .* model=\.\.\."):
        save_pretrained(prunnet.make_prunable(changed()), tmp_path / "saved")
    from_pretrained(tmp_path / "saved", 0.2, model=changed())
    with pytest.raises(ValueError, match="bring it as `model`"):
        from_pretrained(tmp_path / "saved", 0.2)


def test_a_network_of_features_is_saved_with_a_warning(tmp_path: Path) -> None:
    """timm has nothing to write down of it, as it has no classes."""
    model = timm.create_model("prunnet_test_resnet", features_only=True)
    with pytest.warns(UserWarning, match=r"timm does not rebuild .*num_classes.* model=\.\.\."):
        save_pretrained(model, tmp_path / "saved")
    plain = timm.create_model("test_resnet", features_only=True)
    loaded = from_pretrained(tmp_path / "saved", 0.2, model=plain)
    expected = prunnet.prune(model, 0.2).state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in loaded.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SPECS if name != "hand-written"])
def test_every_kind_of_network_comes_back(name: str, tmp_path: Path) -> None:
    model = prunnet.make_prunable(
        timm.create_model(name, num_classes=8, **SPECS[name].arguments), (0.2, 0.6)
    )
    save_pretrained(model.eval(), tmp_path / "saved")
    batch = images(name)
    for loaded, expected in (
        (from_pretrained(tmp_path / "saved"), model),
        (from_pretrained(tmp_path / "saved", 0.2), prunnet.prune(model, 0.2)),
    ):
        state = expected.state_dict()
        assert loaded.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())
        with torch.no_grad():  # what is in no state dict is there as well
            torch.testing.assert_close(loaded(batch), expected(batch))
