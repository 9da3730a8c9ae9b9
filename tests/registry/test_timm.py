"""timm's networks by the name `prunnet_...`: what timm's own functions and scripts do with them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import pytest
import timm
import timm.optim
import timm.utils
import torch
from networks import assert_equal_states, snapshot
from safetensors.torch import save_file
from test_docs import run_blocks
from timm.models import get_arch_pretrained_cfgs, get_pretrained_cfg, is_model_pretrained
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.hub import catalogue
from prunnet_pml.layers import ScoredLayer
from prunnet_pml.registry.timm import PAPER_BACKBONES, create_model

TINY = timm.list_models("test_*")
BOTH_WAYS = pytest.mark.parametrize("create", [timm.create_model, create_model])
Create = Callable[..., nn.Module]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file as timm would download it: a plain test_resnet with its 1000 classes."""
    torch.manual_seed(0)
    path = tmp_path / "dense.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    return path


def state_equal(one: nn.Module, other: nn.Module) -> None:
    assert_equal_states(one, snapshot(other))


def outputs(model: nn.Module, capacity: float, images: Tensor) -> list[Tensor]:
    with torch.no_grad(), prunnet.capacity(model, capacity):
        found = model.eval()(images)
    return found if isinstance(found, list) else [found]


# Names


def test_timm_lists_every_backbone_of_the_paper_and_every_test_network() -> None:
    listed = timm.list_models("prunnet_*")
    assert set(listed) == {f"prunnet_{name}" for name in (*PAPER_BACKBONES, *TINY)}
    assert {"prunnet_resnet18", "prunnet_vit_small_patch16_224", "prunnet_test_vit"} < set(listed)
    assert set(timm.list_models("prunnet_*", pretrained=True, include_tags=False)) <= set(listed)


@pytest.mark.parametrize("name", [*PAPER_BACKBONES, *TINY])
def test_the_pretrained_weights_are_those_that_timm_has(name: str) -> None:
    ours, theirs = (get_arch_pretrained_cfgs(n) for n in (f"prunnet_{name}", name))
    bundled = [entry.name for entry in catalogue() if entry.backbone == name]
    assert list(ours) == [*(f"prunnet_{tag}" for tag in theirs), *bundled]
    for full_name, cfg in {**theirs, name: get_pretrained_cfg(name)}.items():
        found = get_pretrained_cfg(f"prunnet_{full_name}")
        assert found == dataclasses.replace(cfg, architecture=f"prunnet_{name}")
        assert is_model_pretrained(f"prunnet_{full_name}") == is_model_pretrained(full_name)
    listed = {f"prunnet_{tag}" for tag in timm.list_pretrained(f"{name}.*")}
    assert set(timm.list_pretrained(f"prunnet_{name}.*")) == {*listed, *bundled}


@pytest.mark.parametrize("name", [*PAPER_BACKBONES, *TINY])
def test_every_registered_name_makes_a_network_that_prunes(name: str) -> None:
    arguments = networks.SPECS.get(name, networks.Spec()).arguments
    torch.manual_seed(0)
    model = timm.create_model(f"prunnet_{name}", num_classes=8, **arguments)
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=8, **arguments)
    assert type(prunnet.prune(model, 0.4)) is type(plain)
    state_equal(prunnet.make_prunable(plain), model)
    assert prunnet.get_capacity(model) == 1


@pytest.mark.parametrize("name", ["resnet10t", "prunnet_resnet10t", "prunnet_test_vit", "test_vit"])
def test_create_model_takes_any_name_of_timm(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=8)
    torch.manual_seed(0)
    plain = timm.create_model(name.removeprefix("prunnet_"), num_classes=8)
    state_equal(prunnet.make_prunable(plain), model)


def test_create_model_reads_a_folder_that_timm_wrote(tmp_path: Path) -> None:
    plain = timm.create_model("test_resnet", num_classes=7)
    timm.models.save_for_hf(plain, tmp_path)
    model = create_model(f"local-dir:{tmp_path}", pretrained=True)
    state_equal(prunnet.make_prunable(plain), model)


def test_a_student_that_timm_saved_is_read_by_timm_alone(tmp_path: Path) -> None:
    model = create_model("prunnet_test_resnet", num_classes=7, capacity=0.4, capacities=(0.4,))
    student = prunnet.prune(model, 0.4)
    timm.models.save_for_hf(student, tmp_path)
    read = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    state_equal(read, student)


@pytest.mark.parametrize("name", ["test_resnett", "prunnet_test_resnett"])
def test_an_unknown_name_is_answered_with_the_nearest_ones(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"Found 'test_resnett'\. Did you mean 'test_resnet'"
    ) as info:
        create_model(name)
    assert "timm.list_models()" in str(info.value)
    with pytest.raises(ValueError, match=r"Found 'zzzzqqq'\.$"):
        create_model("zzzzqqq")


@BOTH_WAYS
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_tag_that_nobody_published_is_an_error_that_lists_the_published(
    create: Create, pretrained: bool
) -> None:
    with pytest.raises(ValueError, match=r"of resnet18 are published .*'a1_in1k', .* 'nobody'"):
        create("prunnet_resnet18.nobody", pretrained=pretrained)


# Pretrained weights


@BOTH_WAYS
@pytest.mark.parametrize("name", ["prunnet_test_resnet", "prunnet_test_resnet.r160_in1k"])
@pytest.mark.parametrize(
    "arguments", [{}, {"num_classes": 5}, {"num_classes": 0}, {"in_chans": 1}, {"capacity": 0.4}]
)
def test_scores_rank_the_pretrained_weights(
    create: Create, name: str, arguments: dict[str, Any], weights: Path
) -> None:
    overlay = {"file": str(weights)}
    model = create(name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
    plain = timm.create_model(
        name.removeprefix("prunnet_"),
        pretrained=True,
        pretrained_cfg_overlay=overlay,
        **{key: value for key, value in arguments.items() if key != "capacity"},
    )
    assert model.pretrained_cfg == plain.pretrained_cfg
    assert model.default_cfg is model.pretrained_cfg
    assert model.pretrained_cfg["tag"] == "r160_in1k"
    file = timm.models.load_state_dict(str(weights))
    for layer_name, layer in prunnet.scored_layers(model).items():
        weight = plain.get_submodule(layer_name).weight
        assert torch.equal(layer._parameters["weight"], weight)
        by_magnitude = weight.abs().flatten().argsort()
        assert (layer.scores.abs().flatten()[by_magnitude].diff() >= 0).all()
        if layer_name != "conv1.0":  # which `in_chans` changes
            assert torch.equal(weight, file[f"{layer_name}.weight"])


def test_the_cfg_names_timms_network_however_it_was_given() -> None:
    """So that what timm saves is filed under a name that timm alone can read."""
    cfg = get_pretrained_cfg("prunnet_test_resnet")
    plain = timm.create_model("test_resnet")
    for given in (cfg, cfg.to_dict(), cfg.tag, None):
        model = timm.create_model("prunnet_test_resnet", pretrained_cfg=given)
        assert model.pretrained_cfg == plain.pretrained_cfg


def test_weights_that_timm_lacks_are_timms_error() -> None:
    with pytest.raises(RuntimeError, match="No pretrained weights exist"):
        timm.create_model("prunnet_test_resnet", True, pretrained_cfg_overlay={"hf_hub_id": None})


# Arguments


@BOTH_WAYS
def test_capacity_sets_the_network_and_prunes_nothing(create: Create) -> None:
    torch.manual_seed(0)
    model = create("prunnet_test_vit", capacity=0.3, capacities=(0.5, 0.3), num_classes=8)
    torch.manual_seed(0)
    dense = create("prunnet_test_vit", capacities=(0.5, 0.3), num_classes=8)
    state_equal(model, dense)
    assert prunnet.get_capacity(model) == 0.3
    assert prunnet.trained_capacities(model) == (0.5, 0.3)
    images = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), outputs(dense, 0.3, images)[0])
        assert not torch.equal(model(images), outputs(dense, 1.0, images)[0])


@BOTH_WAYS
def test_depthwise_convolutions_are_scored_if_asked_for(create: Create) -> None:
    whole = prunnet.scored_layers(create("prunnet_test_convnext"))
    every = prunnet.scored_layers(create("prunnet_test_convnext", score_depthwise=True))
    assert {name.rpartition(".")[2] for name in every.keys() - whole.keys()} == {"conv_dw"}


@BOTH_WAYS
def test_uniform_scores_know_nothing_of_the_weights(create: Create) -> None:
    model = create("prunnet_test_resnet", initial_scores="uniform")
    for layer in prunnet.scored_layers(model).values():
        bound = layer._parameters["weight"][0].numel() ** -0.5
        assert 0.5 * bound < layer.scores.abs().max() <= bound


@BOTH_WAYS
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capacity": 1.2}, r"`capacity` should be in \(0, 1\]. Found 1.2."),
        ({"capacities": (0.2, 1.0)}, "`capacities` should be below 1"),
        ({"initial_scores": "random"}, "`initial_scores` should be"),
        ({"granularity": "row"}, "`granularity` should be 'weight' or 'channel'. Found 'row'."),
        ({"round_to": 8}, "`round_to` should be left out with granularity 'weight'. Found 8."),
    ],
)
def test_bad_arguments_are_named(create: Create, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create("prunnet_test_resnet", **arguments)


@BOTH_WAYS
@pytest.mark.parametrize("arguments", [{"num_classes": 8}, {"features_only": True}], ids=str)
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
def test_of_granularity_channel_a_student_is_smaller(
    create: Create, name: str, arguments: dict[str, Any]
) -> None:
    arguments["in_chans"] = 1
    units = {"granularity": "channel", "round_to": 8}
    torch.manual_seed(0)
    model = create(f"prunnet_{name}", **units, **arguments)
    torch.manual_seed(0)
    by_hand = prunnet.make_prunable(timm.create_model(name, **arguments), **units)
    state_equal(by_hand, model)
    assert prunnet.kept_units(model, 0.4) == prunnet.kept_units(by_hand, 0.4)  # eight at a time
    student = prunnet.prune(model, 0.4)
    sizes = [sum(p.numel() for p in n.parameters()) for n in (student, model)]
    assert sizes[0] < 0.7 * sizes[1]
    images = torch.randn(1, 1, 160, 160)
    with torch.no_grad():
        found = student(images)
    for one, other in zip(
        found if isinstance(found, list) else [found], outputs(model, 0.4, images), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@BOTH_WAYS
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
def test_features_are_those_of_the_subnetwork(create: Create, name: str) -> None:
    arguments = {"features_only": True, "out_indices": (0, 2)}
    torch.manual_seed(0)
    model = create(f"prunnet_{name}", **arguments)
    torch.manual_seed(0)
    plain = timm.create_model(name, **arguments).eval()
    images = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        expected = {1.0: plain(images), 0.4: prunnet.prune(model, 0.4)(images)}
    for capacity, features in expected.items():
        torch.testing.assert_close(outputs(model, capacity, images), features)
    assert not torch.equal(expected[1.0][1], expected[0.4][1])
    assert model.feature_info.channels() == plain.feature_info.channels()


@BOTH_WAYS
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_checkpoint_path_brings_scores_and_norms(
    create: Create, suffix: str, tmp_path: Path
) -> None:
    trained = create_model("test_resnet", initial_scores="uniform", num_classes=8)
    prunnet.calibrate(trained, [torch.randn(4, 3, 64, 64)], [0.2])
    path = tmp_path / f"trained{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(trained.state_dict(), path)
    model = create("prunnet_test_resnet", checkpoint_path=path, num_classes=8, capacity=0.2)
    state_equal(model, trained)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), outputs(trained, 0.2, images)[0])
        model.reset_classifier(5)  # docs/timm.md: to another number of classes
        assert model(images).shape == (2, 5)


@BOTH_WAYS
def test_a_plain_checkpoint_path_is_refused_rather_than_half_loaded(
    create: Create, weights: Path
) -> None:
    with pytest.raises(ValueError, match="A plain checkpoint lacks scores"):
        create("prunnet_test_resnet", checkpoint_path=str(weights))


# Training as timm's train.py does


def script_model(*more: str) -> nn.Module:
    """The arguments that train.py passes, most of them left at None."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-kwargs", nargs="*", default={}, action=timm.utils.ParseKwargs)
    given = parser.parse_args(
        ["--model-kwargs", "capacities=0.2,0.4", "initial_scores=uniform", *more]
    )
    unset = dict.fromkeys(("drop_path_rate", "drop_block_rate", "global_pool", "scriptable"))
    model = timm.create_model(
        "prunnet_test_resnet", False, num_classes=6, drop_rate=0.0, **unset, **given.model_kwargs
    )
    assert prunnet.trained_capacities(model) == (0.4, 0.2)
    return model


def script_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(step))
    model.train()
    loss = nn.functional.cross_entropy(model(images), torch.arange(6))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("more", [(), ("granularity=channel", "round_to=8")], ids=str)
def test_a_training_of_the_script_resumes_to_the_bit(more: tuple[str], tmp_path: Path) -> None:
    model = script_model(*more)
    optimizer = timm.optim.create_optimizer_v2(model, "adamw", lr=1e-2, weight_decay=0.05)
    average = timm.utils.ModelEmaV3(model, decay=0.5)
    before = snapshot(model)
    script_step(model, optimizer, 0)
    average.update(model)
    moved = [key for key, value in model.state_dict().items() if not value.equal(before[key])]
    assert any(key.endswith(".scores") for key in moved)
    saver = timm.utils.CheckpointSaver(
        model,
        optimizer,
        argparse.Namespace(model="prunnet_test_resnet"),
        average,
        checkpoint_dir=str(tmp_path),
        recovery_dir=str(tmp_path),
    )
    saver.save_checkpoint(0, metric=1.0)

    resumed = script_model(*more)
    again = timm.optim.create_optimizer_v2(resumed, "adamw", lr=1e-2, weight_decay=0.05)
    path = tmp_path / "last.pth.tar"
    assert timm.models.resume_checkpoint(resumed, str(path), again, log_info=False) == 1
    state_equal(resumed, model)
    with torch.serialization.safe_globals([argparse.Namespace]):
        found = prunnet.read_space_id(path)
    assert found == prunnet.space_id(model)
    for network, its_optimizer in ((model, optimizer), (resumed, again)):
        script_step(network, its_optimizer, 1)
    state_equal(resumed, model)

    averaged = script_model(*more)
    timm.models.load_checkpoint(averaged, str(path), use_ema=True)
    state_equal(averaged, average.module)


def test_the_moving_average_has_the_subnetworks_of_its_averaged_scores() -> None:
    model = script_model()
    average = timm.utils.ModelEmaV3(model, decay=0.5)
    images = torch.randn(2, 3, 32, 32)
    masked_before = outputs(average.module, 0.4, images)[0]  # so that masks were found once
    start = snapshot(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    average.update(model)
    expected = {
        key: (start[key] + value) / 2 if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    for key, value in average.module.state_dict().items():
        torch.testing.assert_close(value, expected[key])
    oracle = script_model()
    oracle.load_state_dict(average.module.state_dict())
    found = outputs(average.module, 0.4, images)[0]
    assert torch.equal(found, outputs(oracle, 0.4, images)[0])
    assert not torch.equal(found, masked_before)


def test_scores_decay_as_weights_do_and_decay_alone_changes_no_subnetwork() -> None:
    model = timm.create_model("prunnet_test_vit", num_classes=6)
    optimizer = timm.optim.create_optimizer_v2(model, "adamw", lr=0.1, weight_decay=0.5)
    groups = {p: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    names = dict(model.named_parameters())
    assert groups.keys() == set(names.values())
    assert all(groups[scores] == 0.5 for scores in prunnet.score_parameters(model))
    untouched = [n for n, p in names.items() if p.dim() < 2 or n in model.no_weight_decay()]
    assert "pos_embed" in untouched
    assert all(groups[names[n]] == 0 for n in untouched)

    with prunnet.capacity(model, 0.2):
        kept = {n: m.weight != 0 for n, m in prunnet.scored_layers(model).items()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    scores = prunnet.score_parameters(model)[0]
    before = scores.detach().clone()
    for _ in range(5):
        optimizer.step()
    torch.testing.assert_close(scores.detach(), before * 0.95**5)
    with prunnet.capacity(model, 0.2):
        for name, layer in prunnet.scored_layers(model).items():
            assert ((layer.weight != 0) != kept[name]).sum() <= 1e-3 * kept[name].numel()


@pytest.mark.parametrize("name", TINY)
def test_layer_decay_gives_scores_the_rate_of_their_weights(name: str) -> None:
    model = timm.create_model(f"prunnet_{name}")
    optimizer = timm.optim.create_optimizer_v2(model, "adamw", layer_decay=0.7)
    scales = {p: g["lr_scale"] for g in optimizer.param_groups for p in g["params"]}
    layers = [module for module in model.modules() if isinstance(module, ScoredLayer)]
    assert len({scales[layer.scores] for layer in layers}) > 1
    assert all(scales[layer.scores] == scales[layer._parameters["weight"]] for layer in layers)


def test_the_page_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As it stands, only that pretrained weights stay away and images are small."""
    plain = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *a, pretrained=False, **kw: plain(*a, pretrained=False, **kw)
    )
    monkeypatch.chdir(tmp_path)
    images, labels = torch.rand(8, 3, 32, 32), torch.arange(4).repeat(2)
    found = run_blocks(
        "docs/timm.md",
        {"loader": [(images, labels)], "images": images, "num_classes": 4},
    )
    assert type(found["student"]) is timm.models.resnet.ResNet
