"""``timm.create_model("prunnet_resnet18.glyphs", pretrained=True)``: offline, prunable, trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from networks import assert_equal_states, snapshot
from timm.models import get_pretrained_cfg, is_model_pretrained
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.hub import CatalogueEntry, CheckpointError, Manifest, catalogue, from_pretrained
from prunnet_pml.registry.timm import create_model

NAME = "prunnet_test_convnext.glyphs"
BOTH_WAYS = pytest.mark.parametrize("create", [timm.create_model, create_model])
Create = Callable[..., nn.Module]
ENTRIES = pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)


def test_timm_lists_them() -> None:
    licences = {entry.name: entry.licence for entry in catalogue()}
    assert licences.keys() <= set(timm.list_pretrained("prunnet_*"))
    for name, licence in licences.items():
        assert is_model_pretrained(name)
        assert get_pretrained_cfg(name).license == licence
        assert get_pretrained_cfg(name.partition(".")[0]).tag != "glyphs"  # timm's own comes first


@BOTH_WAYS
@ENTRIES
def test_the_trained_network_comes_with_scores_norms_and_space(
    create: Create, entry: CatalogueEntry
) -> None:
    model = create(entry.name, pretrained=True)
    assert_equal_states(model, snapshot(from_pretrained(entry.folder)))
    assert prunnet.space_id(model) == Manifest.read(entry.folder).space_id
    assert prunnet.get_capacity(model) == 1
    cfg = model.pretrained_cfg
    assert (cfg["architecture"], cfg["input_size"][0]) == (entry.backbone, len(cfg["mean"]))
    student = prunnet.prune(model, 0.2)
    assert_equal_states(student, snapshot(from_pretrained(entry.folder, 0.2)))


def test_timms_own_tags_are_as_they_were() -> None:
    assert get_pretrained_cfg("prunnet_resnet18.a1_in1k").hf_hub_id == "timm/resnet18.a1_in1k"
    cfg = timm.create_model("prunnet_resnet18", num_classes=4).pretrained_cfg
    assert cfg == timm.create_model("resnet18", num_classes=4).pretrained_cfg


@BOTH_WAYS
def test_without_its_weights_it_is_the_same_network_untrained(create: Create) -> None:
    torch.manual_seed(0)
    model = create(NAME, capacities=(0.5,), num_classes=5)
    trained = from_pretrained(NAME)
    assert prunnet.trained_capacities(model) == (0.5,)
    assert model.stem[0].weight.shape == trained.stem[0].weight.shape
    assert model.num_classes == 5
    assert not torch.equal(model.stem[0].weight, trained.stem[0].weight)


@BOTH_WAYS
def test_another_head_is_another_space(create: Create) -> None:
    trained = from_pretrained(NAME)
    model = create(NAME, pretrained=True, num_classes=5, capacity=0.4)
    assert model(torch.randn(1, 1, 32, 32)).shape == (1, 5)
    assert prunnet.get_capacity(model) == 0.4
    assert prunnet.space_id(model) != prunnet.space_id(trained)
    mine, theirs = model.state_dict(), trained.state_dict()
    assert all(mine[k].equal(v) for k, v in theirs.items() if not k.startswith("head.fc"))
    same = create(NAME, pretrained=True, num_classes=128)
    assert_equal_states(same, snapshot(trained))
    assert prunnet.space_id(same) == prunnet.space_id(trained)


@BOTH_WAYS
@pytest.mark.filterwarnings("ignore:`state_dict` was:UserWarning")
def test_it_can_be_trained_on_at_other_capacities(create: Create) -> None:
    model = create("prunnet_resnet18.glyphs", pretrained=True, capacities=(0.5, 0.2))
    trained = from_pretrained("prunnet_resnet18.glyphs")
    assert prunnet.trained_capacities(model) == (0.5, 0.2)
    assert prunnet.space_id(model) == prunnet.space_id(trained)
    for capacity in (0.2, 0.5, 1.0):
        assert_equal_states(
            prunnet.prune(model, capacity), snapshot(prunnet.prune(trained, capacity))
        )


@BOTH_WAYS
def test_arguments_that_change_no_weight_are_timms(create: Create) -> None:
    model = create(NAME, pretrained=True, drop_path_rate=0.5)
    assert_equal_states(model, snapshot(from_pretrained(NAME)))
    assert any(type(module).__name__ == "DropPath" for module in model.modules())


@BOTH_WAYS
@pytest.mark.parametrize("arguments", [{"in_chans": 3}, {"features_only": True}])
def test_another_network_than_the_trained_one_is_refused(
    create: Create, arguments: dict[str, object]
) -> None:
    with pytest.raises(CheckpointError, match=r"prunnet_test_convnext\.glyphs should describe"):
        create(NAME, pretrained=True, **arguments)


def test_the_prefix_changes_nothing() -> None:
    model: nn.Module = create_model("test_convnext.glyphs", pretrained=True)
    assert_equal_states(model, snapshot(from_pretrained(NAME)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("round_to", 8), ("initial_scores", "uniform"), ("score_depthwise", True)],
)
def test_what_is_scored_is_the_checkpoints_own(name: str, value: object) -> None:
    message = f"`{name}` should be left out with a checkpoint .* Found {value!r}\\."
    with pytest.raises(ValueError, match=message):
        create_model(NAME, pretrained=True, **{name: value})
