"""Which units are found, and what is left whole."""

from __future__ import annotations

import copy
import sys
from typing import Any

import networks
import pytest
import torch
from channel_networks import ByHand, HeadsByHand
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.units.groups import HiddenUnits


def channel(model: nn.Module, **arguments: object) -> nn.Module:
    return prunnet.make_prunable(model, granularity="channel", **arguments)


def readers(model: nn.Module) -> set[str]:
    return set(prunnet.scored_layers(model))


def test_hidden_channels_of_blocks_and_heads_are_found() -> None:
    model = channel(ByHand(), example_input=torch.randn(1, 3, 32, 32))
    assert readers(model) == {
        f"blocks.{i}.{name}" for i in (0, 1) for name in ("conv2", "attention.out")
    }
    assert model.blocks[0].attention.out.scores.shape == (4,)
    assert model.blocks[0].conv2.scores.shape == (24,)


def test_a_resnet_keeps_stem_stream_and_embedding() -> None:
    assert readers(channel(networks.build("resnet18"))) == {
        f"layer{stage}.{block}.conv2" for stage in (1, 2, 3, 4) for block in (0, 1)
    }


def test_widths_between_blocks_stay_whole() -> None:
    """Where mobilenetv2 changes resolution no addition runs through its stream."""
    found = readers(channel(networks.build("mobilenetv2_100")))
    assert found == {
        name
        for name, _ in networks.build("mobilenetv2_100").named_modules()
        if name.endswith("conv_pwl")
    }


def test_whole_groups_of_a_grouped_convolution_are_units() -> None:
    model = channel(networks.build("resnext50_32x4d"))
    assert all(len(scores) == 32 for scores in prunnet.score_parameters(model))
    pruned = prunnet.prune(model, 0.5)
    conv = pruned.layer1[0].conv2
    assert (conv.groups, conv.in_channels, conv.out_channels) == (16, 64, 64)
    assert conv.weight.shape == (64, 4, 3, 3)


def test_the_timm_size_is_found_without_an_example() -> None:
    """Also of a network that was built for another size than it was trained at."""
    model = channel(networks.build("test_vit"))
    assert len(readers(model)) == 12


class NormAcross(nn.Module):
    """Its hidden norm, by hand, sees all channels at once: no graph of layers shows that."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 32), nn.Linear(32, 12)
        self.third, self.fourth = nn.Linear(12, 32), nn.Linear(32, 12)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        x = x + self.second(hidden / hidden.mean(-1, keepdim=True))
        return x + self.fourth(self.third(x).relu())


def test_units_that_cannot_be_cut_out_as_they_are_masked_stay_whole() -> None:
    model = channel(NormAcross(), example_input=torch.randn(4, 12))
    assert readers(model) == {"fourth"}


def test_fresh_networks_with_branches_at_zero_are_searched_too() -> None:
    model = ByHand()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert len(readers(channel(model, example_input=torch.randn(1, 3, 32, 32)))) == 4


def test_the_network_and_the_random_state_stay_as_they_are() -> None:
    model = networks.build("test_resnet").train()
    before, state = networks.snapshot(model), torch.get_rng_state()
    channel(model)
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_filter_fn_says_which_layers_may_lose_units() -> None:
    model = channel(
        networks.build("test_resnet"), filter_fn=lambda _, name: not name.startswith("layer3")
    )
    found = readers(model)
    assert found
    assert not any(name.startswith("layer3") for name in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"granularity": "filter"},
            "`granularity` should be 'weight' or 'channel'. Found 'filter'",
        ),
        ({"round_to": 8, "granularity": "weight"}, "`round_to` should be left out"),
        ({"round_to": 10**6}, "`round_to` should be below .* Found 1000000"),
        ({"round_to": 0}, "`round_to` should be a positive integer or None. Found 0"),
        ({"score_bias": True}, "`score_bias` should be left out with granularity 'channel'"),
        ({"example_input": None}, "`example_input` should be a batch .* Found None for ByHand"),
        ({"example_input": "image.png"}, "`example_input` should be a batch .* Found str"),
    ],
)
def test_arguments_are_checked_before_anything_changes(
    arguments: dict[str, object], message: str
) -> None:
    model = ByHand()
    given = {"granularity": "channel", "example_input": torch.randn(1, 3, 32, 32), **arguments}
    if given["granularity"] != "channel":
        given.pop("example_input")
    with pytest.raises(ValueError, match=message):
        prunnet.make_prunable(model, **given)
    assert type(model) is ByHand
    assert not prunnet.is_prunable(model)


def test_a_network_without_hidden_units_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`model` should have hidden units. Found none in Linear"):
        channel(nn.Linear(4, 4), example_input=torch.randn(2, 4))


def test_a_missing_torch_pruning_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ImportError, match=r"pip install 'prunnet-pml\[structured\]'"):
        channel(networks.build("test_resnet"))


def test_kept_units_of_another_network_are_refused() -> None:
    kept = prunnet.kept_units(channel(networks.build("resnet18")), 0.5)
    other = networks.build("test_resnet")
    before = networks.snapshot(other)
    with pytest.raises(ValueError, match="`kept` should be of ResNet: `layer"):
        prunnet.apply_kept_units(other, kept)
    networks.assert_equal_states(other, before)
    first, network = kept["groups"][0], networks.build("resnet18")
    groups: list[list[Any]] = [[{}], [first, first], [{**first, "kept": [3, 3]}]]
    groups += [[{**first, "kept": [0.0]}], [{**first, "units": True}]]
    for change in ({"side": "foo"}, {"name": 5}, {"size": "1"}, {"parts": -1}):
        groups.append([{**first, "cuts": [{**first["cuts"][0], **change}]}])
    before = networks.snapshot(network)
    for broken in groups:
        with pytest.raises(ValueError, match="`kept` should be what kept_units returns"):
            prunnet.apply_kept_units(network, {"groups": broken})
        networks.assert_equal_states(network, before)
    for broken in ({}, []):
        with pytest.raises(ValueError, match="`kept` should be what kept_units returns"):
            prunnet.apply_kept_units(other, broken)
    with pytest.raises(ValueError, match=r"granularity 'channel'\. Found PrunableResNet"):
        prunnet.kept_units(prunnet.make_prunable(other), 0.5)


def test_a_trunk_inside_a_bigger_module_loses_its_units() -> None:
    trunk = channel(networks.build("test_resnet"))
    bigger = nn.Sequential(trunk, nn.Linear(networks.EMBEDDING, 2)).eval()
    images = networks.images("test_resnet")
    pruned = prunnet.prune(bigger, 0.5)
    with torch.no_grad(), prunnet.capacity(bigger, 0.5):
        torch.testing.assert_close(pruned(images), bigger(images), rtol=1e-5, atol=1e-5)
    again = nn.Sequential(networks.build("test_resnet"), nn.Linear(networks.EMBEDDING, 2))
    prunnet.apply_kept_units(again, prunnet.kept_units(bigger, 0.5))
    again.load_state_dict(pruned.state_dict())


def test_layers_that_no_unit_is_cut_out_of_have_none() -> None:
    """A transposed convolution's outputs lie along axis 1: cut along axis 0, it would be broken."""
    network = nn.Sequential(nn.ConvTranspose2d(4, 8, 3), nn.Conv2d(8, 4, 3))
    cuts = [
        {"name": str(i), "side": side, "parts": 1, "size": 1}
        for i, side in enumerate(("out", "in"))
    ]
    with pytest.raises(ValueError, match=r"`0` should have 8 entries on side 'out'\. Found 0\."):
        prunnet.apply_kept_units(network, {"groups": [{"units": 8, "kept": [0, 1], "cuts": cuts}]})


def test_heads_that_something_else_reads_stay_whole() -> None:
    class Read(HeadsByHand):
        def __init__(self) -> None:
            super().__init__(16, 4)
            self.out = nn.Conv1d(16, 16, 1)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.query(x), self.key(x), self.value(x)
            weights = (q @ k.mT).softmax(-1)
            return self.out((weights @ v).mT).mT

    model = ByHand()
    model.blocks[1].attention = Read()
    found = readers(channel(model, example_input=torch.randn(1, 3, 32, 32)))
    assert found == {"blocks.0.conv2", "blocks.1.conv2", "blocks.0.attention.out"}


class Across(nn.Module):
    """A norm over all hidden channels: with fewer of them it computes something else."""

    def forward(self, features: Tensor) -> Tensor:
        return features / (features.square().mean(1, keepdim=True) + 1e-6).sqrt()


class Branch(nn.Module):
    """A residual branch of a linear layer, something, and a linear layer."""

    def __init__(self, between: nn.Module, scale: float) -> None:
        super().__init__()
        self.first, self.between, self.second = nn.Linear(8, 16), between, nn.Linear(16, 8)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        return features + self.scale * self.second(self.between(self.first(features).relu()))


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-4])
def test_a_wrong_cut_shows_however_little_its_branch_adds(scale: float) -> None:
    """Tried together with eleven right ones."""
    torch.manual_seed(0)
    branches = [Branch(Across(), scale), *(Branch(nn.Identity(), 1.0) for _ in range(11))]
    network = nn.Sequential(*branches, nn.Linear(8, 4))
    images = torch.randn(4, 8)
    model = prunnet.make_prunable(
        network, granularity="channel", example_input=images, filter_fn=lambda module, name: True
    )
    groups = prunnet.hidden_units(model).groups
    assert {group.readers[0].name for group in groups} == {f"{i}.second" for i in range(1, 12)}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_units_are_the_same_in_every_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network, images = ByHand(), torch.randn(2, 3, 16, 16)
    should = prunnet.hidden_units(
        prunnet.make_prunable(copy.deepcopy(network), granularity="channel", example_input=images)
    )
    found = prunnet.hidden_units(
        prunnet.make_prunable(
            network.to(dtype), granularity="channel", example_input=images.to(dtype)
        )
    )
    assert found == should


def test_units_of_no_group_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`units` should have groups of units\. Found none\."):
        prunnet.make_prunable(ByHand(), granularity="channel", units=HiddenUnits((), ()))


def test_kept_units_are_cut_out_of_plain_networks_alone() -> None:
    model = prunnet.make_prunable(
        ByHand(), granularity="channel", example_input=torch.randn(2, 3, 16, 16)
    )
    with pytest.raises(ValueError, match=r"`network` should be plain\. Found a prunable one"):
        prunnet.apply_kept_units(model, prunnet.kept_units(model, 0.5))


@pytest.mark.parametrize(
    "images",
    [
        torch.randn(2, 4, 16, 16),
        torch.randn(2, 3, 16),
        torch.zeros(2, 3, 16, 16, dtype=torch.int64),
    ],
    ids=["channels", "dimensions", "integers"],
)
def test_what_the_network_does_not_take_is_refused(images: Tensor) -> None:
    network = ByHand()
    with pytest.raises(
        ValueError, match=r"`example_input` should be a batch .* Found \(2, .*: Run"
    ):
        prunnet.make_prunable(network, granularity="channel", example_input=images)
    assert type(network) is ByHand


@pytest.mark.parametrize("kind", [dict, tuple])
def test_units_are_found_whatever_holds_the_embeddings(kind: type) -> None:
    class Holding(ByHand):
        def forward(self, images: Tensor) -> object:
            found = {"embedding": super().forward(images), "logits": None}
            return found if kind is dict else tuple(found.values())

    example_input = torch.randn(1, 3, 32, 32)
    expected = readers(channel(ByHand(), example_input=example_input))
    assert readers(channel(Holding(), example_input=example_input)) == expected
