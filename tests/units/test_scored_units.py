"""Training and storing a network of granularity "channel": all as for weights."""

from __future__ import annotations

import copy
import io
import math
import pickle
import sys
from dataclasses import replace

import networks
import pytest
import torch
from channel_networks import ByHand, assert_close, make_case
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.masks import threshold_rank


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, 3, 32, 32)


@pytest.fixture
def model(images: Tensor) -> nn.Module:
    return prunnet.make_prunable(ByHand(), granularity="channel", example_input=images)


def embed(model: nn.Module, images: Tensor, capacity: float) -> Tensor:
    with torch.no_grad(), prunnet.capacity(model, capacity):
        return model(images)


def test_a_score_moves_as_the_sum_over_its_unit_says(model: nn.Module, images: Tensor) -> None:
    """d / d score = sum of weight * gradient over what reads the unit, times the score's sign."""
    reader = model.blocks[0].conv2
    with torch.no_grad():
        reader.scores[::3] *= -1
    hidden = torch.randn(2, 24, 8, 8)
    for capacity in (1.0, 0.4):
        model.zero_grad()
        with prunnet.capacity(model, capacity):
            seen = reader.weight.detach().requires_grad_()
            reader(hidden).square().sum().backward()
        nn.functional.conv2d(hidden, seen, padding=1).square().sum().backward()
        weight, kept = reader._parameters["weight"], seen.detach() != 0
        expected = (weight * seen.grad).sum((0, 2, 3)) * reader.scores.sign()
        torch.testing.assert_close(reader.scores.grad, expected)
        torch.testing.assert_close(weight.grad, seen.grad * kept)
        assert kept.all() == (capacity == 1)


def test_a_training_loop_lowers_the_loss_and_masked_still_equals_pruned(
    model: nn.Module, images: Tensor
) -> None:
    inner = torch.optim.Adam(model.parameters(), lr=3e-3)
    optimizer = prunnet.ConflictAwareOptimizer(inner, model)
    target = torch.randn(6, networks.EMBEDDING)
    scores = [scores.detach().clone() for scores in prunnet.score_parameters(model)]
    losses = []
    for _ in range(25):
        for _ in optimizer.capacities():
            loss = (model(images) - target).square().mean()
            loss.backward()
        losses.append(loss.item())  # of the smallest capacity
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
    for before, after in zip(scores, prunnet.score_parameters(model), strict=True):
        assert not before.equal(after)
    model.eval()
    for capacity in (0.2, 0.5):
        expected = embed(model, images, capacity)
        assert_close(prunnet.prune(model, capacity)(images), expected)


def test_the_same_weights_are_integrated_as_of_granularity_weight(model: nn.Module) -> None:
    def integrated(network: nn.Module) -> set[str]:
        chosen = prunnet.network.scored_parameters(network)
        return {name for name, p in network.named_parameters() if p in chosen}

    of_weights = integrated(prunnet.make_prunable(ByHand()))
    assert {n for n in integrated(model) if not n.endswith("scores")} == {
        n for n in of_weights if not n.endswith("scores")
    }
    assert {n for n, _ in model.named_parameters() if n.endswith("scores")} <= integrated(model)


def test_a_state_dict_brings_units_and_norm_statistics_back(images: Tensor) -> None:
    case = make_case("by hand")
    with torch.no_grad():
        for scores in prunnet.score_parameters(case.model):
            scores.copy_(torch.randn_like(scores))
    torch.manual_seed(1)
    other = prunnet.make_prunable(ByHand(), granularity="channel", example_input=images).eval()
    other.load_state_dict(case.model.state_dict())
    for capacity in (0.2, 0.5, 1.0):
        assert torch.equal(case.embed(other, capacity), case.embed(case.model, capacity))
    assert prunnet.space_id(other) == prunnet.space_id(case.model)


def by_pickle(model: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(model, stream, pickle_protocol=pickle.HIGHEST_PROTOCOL)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, by_pickle])
def test_a_copy_has_units_of_its_own(duplicate: object) -> None:
    """With a gate that reads the units too, whose mask is another layer's."""
    case = make_case("test_efficientnet")
    twin = duplicate(case.model)
    expected = case.embed(case.model, 0.4)
    assert torch.equal(case.embed(twin, 0.4), expected)
    with torch.no_grad():
        for scores in prunnet.score_parameters(twin):
            scores.copy_(torch.randn_like(scores))
    assert torch.equal(case.embed(case.model, 0.4), expected)
    changed = case.embed(twin, 0.4)
    assert not torch.equal(changed, expected)
    assert_close(case.embed(prunnet.prune(twin, 0.4)), changed)


def test_widths_round_to_a_multiple(images: Tensor) -> None:
    model = prunnet.make_prunable(
        ByHand(), granularity="channel", round_to=8, example_input=images
    ).eval()
    for capacity in (0.05, 0.3, 0.5, 0.8):
        pruned = prunnet.prune(model, capacity, calibration=[images])
        for block in pruned.blocks:
            assert block.conv1.out_channels in (8, 16, 24)
            assert block.attention.value.out_features in (8, 16)  # two heads of 4
        assert_close(pruned(images), prunnet.prune(model, capacity, [images])(images))


@pytest.mark.parametrize(("then", "now"), [(8, None), (None, 8), (8, 4)])
def test_a_checkpoint_of_other_multiples_is_warned_of(
    then: int | None, now: int | None, images: Tensor
) -> None:
    """All tensors fit, and yet a capacity keeps other units than were trained."""

    def build(round_to: int | None) -> nn.Module:
        return prunnet.make_prunable(
            ByHand(), granularity="channel", round_to=round_to, example_input=images
        )

    first = min(prunnet.scored_layers(build(then)))
    before, after = (prunnet.scored_layers(build(r))[first].multiple for r in (then, now))
    told = f"`{first}` in multiples of {before}, ByHand in multiples of {after}: .* `round_to`"
    for inside in (False, True):
        one, other = (nn.Sequential(build(r)) if inside else build(r) for r in (then, now))
        with pytest.warns(UserWarning, match=told):
            other.load_state_dict(one.state_dict())
        build(then).load_state_dict(build(then).state_dict())


@pytest.mark.parametrize("multiple", [1, 2, 8, 16])
@pytest.mark.parametrize("units", [1, 3, 24, 64, 100])
def test_rounded_counts_nest_and_are_the_nearest(units: int, multiple: int) -> None:
    before = 0
    for step in range(1, 101):
        exact = units + 1 - threshold_rank(units, step / 100)
        kept = units + 1 - threshold_rank(units, step / 100, multiple)
        assert kept >= before, "what a capacity keeps, every larger one keeps"
        before = kept
        assert kept % multiple == 0 or kept == units
        assert abs(kept - exact) <= multiple / 2 or kept == min(multiple, units)
    assert kept == units


def test_reset_scores_ranks_units_by_what_reads_them(model: nn.Module) -> None:
    with torch.no_grad():
        for scores in prunnet.score_parameters(model):
            scores.zero_()
    prunnet.reset_scores(model)
    layer = model.blocks[1].conv2
    weight = layer._parameters["weight"].detach()
    order = weight.square().sum((0, 2, 3)).argsort()
    assert layer.scores.argsort().equal(order)
    assert math.isclose(layer.scores.square().mean().sqrt().item(), 1, rel_tol=1e-5)


def test_scores_may_start_uniform(images: Tensor) -> None:
    model = prunnet.make_prunable(
        ByHand(), granularity="channel", initial_scores="uniform", example_input=images
    )
    scores = prunnet.score_parameters(model)
    bounds = [10 / math.sqrt(len(s)) for s in scores]
    assert all(-b <= s.min() < 0 < s.max() <= b for s, b in zip(scores, bounds, strict=True))
    assert all(s.abs().max() > b / 4 for s, b in zip(scores, bounds, strict=True))


def test_known_units_need_no_search(
    images: Tensor, monkeypatch: pytest.MonkeyPatch, model: nn.Module
) -> None:
    """A network like one that was searched takes its units, without Torch-Pruning."""
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    other = prunnet.make_prunable(
        ByHand(), granularity="channel", units=prunnet.hidden_units(model)
    )
    other.load_state_dict(model.state_dict())
    assert torch.equal(embed(other, images, 0.3), embed(model, images, 0.3))
    assert prunnet.hidden_units(other) == prunnet.hidden_units(model)


def test_units_of_another_network_are_refused(images: Tensor, model: nn.Module) -> None:
    units = prunnet.hidden_units(model)
    other = networks.build("test_resnet")
    with pytest.raises(ValueError, match="`units` should be of ResNet: `blocks"):
        prunnet.make_prunable(other, granularity="channel", units=units)
    unknown = replace(units, layers=("blocks.0.norm",))
    with pytest.raises(ValueError, match=r"`units` should be of ByHand\. Found no layer `blocks"):
        prunnet.make_prunable(ByHand(), granularity="channel", units=unknown)
    with pytest.raises(ValueError, match="`example_input` should be left out with `units`"):
        prunnet.make_prunable(ByHand(), granularity="channel", units=units, example_input=images)
    with pytest.raises(ValueError, match="`units` should be left out with granularity 'weight'"):
        prunnet.make_prunable(ByHand(), units=units)
    assert not prunnet.is_prunable(other)


@pytest.mark.parametrize("frozen", [(), ("first",), ("second",), ("first", "second")])
def test_units_are_scored_for_whichever_reader_is_trained(frozen: tuple[str, ...]) -> None:
    """Scores lie in one of the layers that read a group, and belong to all of them."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.first, self.second = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
            self.head = nn.Linear(8, 4)

        def forward(self, images: Tensor) -> Tensor:
            x = self.stem(images).relu()
            return self.head((self.first(x) + self.second(x)).relu().mean((2, 3)))

    plain = Branches()
    for name in frozen:
        getattr(plain, name).weight.requires_grad_(False)
    prunable = prunnet.make_prunable(
        plain,
        granularity="channel",
        example_input=torch.randn(2, 3, 8, 8),
        filter_fn=lambda _, name: name != "head",
    )
    [scores] = prunnet.score_parameters(prunable)
    assert scores.requires_grad == (len(frozen) < 2)
