"""What comes back from disk is what was saved."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from networks import HandWritten, TinyEmbedder, assert_equal_states, build, images, snapshot
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.hub import Manifest, from_pretrained, save_pretrained

CAPACITIES = (0.2, 0.3, 0.4, 0.5, 0.8, 1.0)


def prunable(name: str) -> nn.Module:
    """Trained a little: scores that no longer rank as the weights do, and some of them negative."""
    model = prunnet.make_prunable(build(name))
    with torch.no_grad():
        for scores in prunnet.score_parameters(model):
            scores.mul_(torch.randn_like(scores))
    model.train()
    for capacity in (*prunnet.trained_capacities(model), 1.0):
        with prunnet.capacity(model, capacity), torch.no_grad():
            model(images(name))
    return model.eval()


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return prunable("test_resnet")


def rounded(model: nn.Module, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Its state, parameters rounded."""
    parameters = {name for name, _ in model.named_parameters()}
    return {
        name: value.to(dtype).to(value.dtype) if name in parameters else value
        for name, value in model.state_dict().items()
    }


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_capacity_is_the_pruned_network_at_the_stored_precision(
    resnet: nn.Module, tmp_path: Path, precision: str
) -> None:
    save_pretrained(resnet, tmp_path / "saved", precision=precision)
    for capacity in CAPACITIES:
        pruned = prunnet.prune(resnet, capacity)
        loaded = from_pretrained(tmp_path / "saved", capacity)
        assert type(loaded) is type(pruned)
        assert not loaded.training
        assert_equal_states(loaded, rounded(pruned, getattr(torch, precision)))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_a_prunable_network_comes_back_to_the_bit(name: str, tmp_path: Path) -> None:
    model = prunable(name)
    before = snapshot(model)
    prunnet.set_capacity(model, 0.4)  # what it is read at now makes no difference
    save_pretrained(model, tmp_path / "saved")
    loaded = from_pretrained(tmp_path / "saved")
    assert_equal_states(loaded, before)
    assert prunnet.space_id(loaded) == prunnet.space_id(model)
    assert prunnet.trained_capacities(loaded) == prunnet.trained_capacities(model)
    assert loaded.pretrained_cfg["num_classes"] == model.num_classes


def test_scores_of_a_byte_leave_the_bands_exact(resnet: nn.Module, tmp_path: Path) -> None:
    save_pretrained(resnet, tmp_path / "saved", scores="uint8")
    loaded = from_pretrained(tmp_path / "saved")
    for capacity in (0.2, 0.4, 0.6, 0.8, 1.0):
        expected = snapshot(prunnet.prune(resnet, capacity))
        assert_equal_states(prunnet.prune(loaded, capacity), expected)
        assert_equal_states(from_pretrained(tmp_path / "saved", capacity), expected)
    for capacity in (0.1, 0.3, 0.77):  # between them: a little more than asked for, the same twice
        with pytest.warns(UserWarning) if capacity < 0.2 else nullcontext():
            alone = from_pretrained(tmp_path / "saved", capacity)
            assert_equal_states(prunnet.prune(loaded, capacity), snapshot(alone))
        weights = alone.layer4[0].conv1.weight
        assert (weights != 0).float().mean() == pytest.approx(capacity, abs=0.01)
    for one, other in zip(
        prunnet.score_parameters(resnet), prunnet.score_parameters(loaded), strict=True
    ):
        assert torch.equal(one.sign(), other.sign())


def test_bands_may_be_others_than_the_trained_capacities(resnet: nn.Module, tmp_path: Path) -> None:
    manifest = save_pretrained(resnet, tmp_path / "saved", capacities=(0.3, 0.125))
    assert manifest.capacities == (0.125, 0.3, 1.0)
    assert (tmp_path / "saved" / "prunnet" / "band-012_5.safetensors").is_file()
    for capacity in (0.2, 0.25, 0.3, 0.7, 1.0):
        expected = snapshot(prunnet.prune(resnet, capacity))
        assert_equal_states(from_pretrained(tmp_path / "saved", capacity), expected)


@pytest.mark.parametrize("score_bias", [False, True])
@pytest.mark.parametrize("network", [HandWritten, TinyEmbedder])
def test_a_hand_written_network_is_brought_along(
    network: type[nn.Module], score_bias: bool, tmp_path: Path
) -> None:
    model = prunnet.make_prunable(
        network(),
        (0.5,),
        filter_fn=lambda _, name: "emb" not in name,
        score_bias=score_bias,
        score_depthwise=score_bias,
    )
    save_pretrained(model, tmp_path / "saved", dense=False)
    assert not (tmp_path / "saved" / "model.safetensors").exists()
    assert_equal_states(from_pretrained(tmp_path / "saved", model=network()), snapshot(model))
    for capacity in (0.5, 0.75):
        loaded = from_pretrained(tmp_path / "saved", capacity, model=network())
        assert type(loaded) is network
        assert_equal_states(loaded, snapshot(prunnet.prune(model, capacity)))
    with pytest.raises(ValueError, match=r"config.json names no network of timm.*`model`"):
        from_pretrained(tmp_path / "saved")


def test_a_capacity_reads_its_own_files_alone(resnet: nn.Module, tmp_path: Path) -> None:
    manifest = save_pretrained(resnet, tmp_path / "saved")
    assert Manifest.read(tmp_path / "saved") == manifest
    for capacity in (0.2, 0.3, 0.6, None):
        needed = {*manifest.files_for(capacity)}
        folder = tmp_path / f"for-{capacity}"
        for name in ("config.json", *needed):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((tmp_path / "saved" / name).read_bytes())
        from_pretrained(folder, capacity)
        sizes = sum((folder / name).stat().st_size for name in needed)
        assert manifest.bytes_for(capacity) == sizes
        assert manifest.missing(folder, capacity) == []
        assert {*manifest.missing(folder, 1.0)} == {*manifest.files_for(1.0)} - needed


def test_without_scores_only_the_bands_can_be_had(resnet: nn.Module, tmp_path: Path) -> None:
    manifest = save_pretrained(resnet, tmp_path / "saved", scores=None)
    from_pretrained(tmp_path / "saved", 0.4)
    for capacity in (0.3, None):
        with pytest.raises(ValueError, match=r"should be one of 0\.2, 0\.4, .*no scores"):
            from_pretrained(tmp_path / "saved", capacity)
        with pytest.raises(ValueError, match="no scores"):
            manifest.files_for(capacity)


def test_below_the_norm_statistics_loading_warns_as_prune_does(
    resnet: nn.Module, tmp_path: Path
) -> None:
    save_pretrained(resnet, tmp_path / "saved")
    with pytest.warns(
        UserWarning, match=r"interpolated .*Found 0\.1, where those of 0\.2, .*0\.8, 1 are known"
    ):
        loaded = from_pretrained(tmp_path / "saved", 0.1)
    with pytest.warns(UserWarning):
        assert_equal_states(loaded, snapshot(prunnet.prune(resnet, 0.1)))


def test_training_goes_on_where_it_was(tmp_path: Path) -> None:
    """The same step on the network and on its copy from disk: to the bit."""
    model = prunable("test_resnet")
    save_pretrained(model, tmp_path / "saved")
    batch = images("test_resnet")
    states = []
    for network in (model, from_pretrained(tmp_path / "saved")):
        network.train()
        optimizer = prunnet.ConflictAwareOptimizer(
            torch.optim.SGD(network.parameters(), lr=0.1), network
        )
        torch.manual_seed(0)
        for _ in optimizer.capacities():
            network(batch).square().sum().backward()
        optimizer.step()
        states.append(snapshot(network))
    assert_equal_states(network, states[0])
