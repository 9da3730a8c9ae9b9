"""Scored layers: the masked weight, its gradients, and what stays as it was."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from golden_files import golden
from torch import Tensor, nn

from prunnet_pml.initial_scores import magnitude_scores
from prunnet_pml.layers import SCORES, ScoredLayer, add_scores, remove_scores
from prunnet_pml.masks import mask, thresholds

LAYERS = {
    "lconv": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "lgroup": lambda: nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),
    "llin": lambda: nn.Linear(10, 7),
}


def scored(layer: nn.Module, **kwargs: bool) -> nn.Module:
    add_scores(layer, torch.randn_like, (0.6, 0.2), **kwargs)
    return layer


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_equal_the_recorded_ones(name: str, sparsity: float) -> None:
    arrays = {
        key.removeprefix(f"{name}/"): torch.from_numpy(value)
        for key, value in golden("masks").items()
        if key.startswith(f"{name}/")
    }
    layer = scored(LAYERS[name](), score_bias=True)
    recorded = {"weight": "weight", "scores": "w_m", "bias": "bias", "bias_scores": "b_m"}
    with torch.no_grad():
        for ours, theirs in recorded.items():
            if layer._parameters.get(ours) is not None:
                layer._parameters[ours].copy_(arrays[f"param/{theirs}"])
    layer.set_capacity(1 - sparsity)

    y = layer(arrays["x"])
    torch.testing.assert_close(y, arrays[f"y_{sparsity}"], rtol=1e-5, atol=1e-6)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    for ours, theirs in recorded.items():
        if f"grad_{sparsity}/{theirs}" in arrays:
            gradient = layer._parameters[ours].grad
            torch.testing.assert_close(gradient, arrays[f"grad_{sparsity}/{theirs}"])


@pytest.mark.parametrize("capacity", [1.0, 0.6, 0.33])
def test_gradients_are_straight_through(capacity: float) -> None:
    layer = scored(nn.Linear(9, 5))
    layer.set_capacity(capacity)
    weight, scores = layer._parameters["weight"], layer.scores
    kept = mask(scores, thresholds(scores, [capacity])[0])
    upstream = torch.randn(5, 9)

    (layer.weight * upstream).sum().backward()

    assert torch.equal(weight.grad, upstream * kept)
    assert torch.equal(scores.grad, upstream * weight * scores.sign())
    layer.mask_score_gradients()
    assert torch.equal(scores.grad, upstream * weight * scores.sign() * kept)


def test_the_weight_read_follows_the_scores() -> None:
    """An optimizer step, a checkpoint or a move must not leave an old mask behind."""
    layer = scored(nn.Linear(20, 10))
    layer.set_capacity(0.2)
    before = layer.weight.detach() != 0
    with torch.no_grad():
        layer.scores.neg_().add_(3)  # the order of magnitudes turns around
    after = layer.weight.detach() != 0
    assert not torch.equal(before, after)
    expected = mask(layer.scores, thresholds(layer.scores, [0.2])[0]).bool()
    assert torch.equal(after, expected)

    layer.scores.data.neg_().add_(5)  # unseen by autograd's version counter
    layer.forget_masks()
    expected = mask(layer.scores, thresholds(layer.scores, [0.2])[0]).bool()
    assert torch.equal(layer.weight.detach() != 0, expected)


@pytest.mark.parametrize("inner", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_a_fused_step_moves_masks_too(inner: type[torch.optim.Optimizer]) -> None:
    """In a loop of one's own; the kernels raise no version counter."""
    layer = scored(nn.Linear(20, 10))
    layer.set_capacity(0.2)
    optimizer = inner(layer.parameters(), lr=0.5, fused=True)
    for _ in range(3):
        before = layer.weight.detach() != 0
        (layer.weight * torch.randn(10, 20)).sum().backward()
        optimizer.step()
        expected = mask(layer.scores, thresholds(layer.scores, [0.2])[0]).bool()
        assert not torch.equal(before, expected)
        assert torch.equal(layer.weight.detach() != 0, expected)


def test_the_dense_weight_is_the_parameter_itself() -> None:
    layer = scored(nn.Linear(4, 3))
    with torch.no_grad():
        assert layer.weight is layer._parameters["weight"]
    assert layer.bias is layer._parameters["bias"]
    assert torch.equal(layer.weight, layer._parameters["weight"])


def test_frozen_scores_still_mask() -> None:
    layer = scored(nn.Linear(20, 10))
    layer.scores.requires_grad_(False)
    layer.set_capacity(0.2)
    layer(torch.randn(2, 20)).sum().backward()
    assert (layer.weight != 0).sum() == 41
    assert ((layer._parameters["weight"].grad != 0) <= (layer.weight != 0)).all()


def roundtrip_by_pickle(layer: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(layer))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, roundtrip_by_pickle])
def test_a_copy_is_scored_and_independent(duplicate: object) -> None:
    layer = scored(nn.Conv2d(3, 8, 3))
    layer.set_capacity(0.6)
    twin = duplicate(layer)
    assert isinstance(twin, ScoredLayer)
    assert type(twin) is type(layer)
    assert twin.capacity == 0.6
    assert torch.equal(twin.weight, layer.weight)
    with torch.no_grad():
        twin.scores.zero_()
    assert not torch.equal(twin.weight, layer.weight)


@pytest.mark.parametrize("score_bias", [False, True])
def test_removing_scores_leaves_the_masked_layer(score_bias: bool) -> None:
    layer = scored(nn.Linear(12, 8), score_bias=score_bias)
    layer.set_capacity(0.2)
    inputs = torch.randn(3, 12)
    expected = layer(inputs)
    remove_scores(layer)
    assert type(layer) is nn.Linear
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert set(vars(layer)) == set(vars(nn.Linear(1, 1)))
    assert torch.equal(layer(inputs), expected)
    assert isinstance(layer.weight, nn.Parameter)


def test_a_subclass_keeps_its_own_forward() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * nn.functional.linear(x, self.weight)

    layer = scored(Doubled(6, 4))
    layer.set_capacity(0.6)
    inputs = torch.randn(2, 6)
    assert torch.equal(layer(inputs), 2 * inputs @ layer.weight.T)
    assert isinstance(layer, Doubled)


def test_the_thresholds_of_all_trained_capacities_are_found_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(scores: Tensor, capacities: list[float], multiple: int) -> list[Tensor]:
        calls.append(capacities)
        return thresholds(scores, capacities, multiple)

    monkeypatch.setattr("prunnet_pml.layers.thresholds", counted)
    layer = scored(nn.Linear(8, 8))
    for capacity in (1.0, 0.6, 0.2, 0.6):
        layer.set_capacity(capacity)
        layer(torch.randn(2, 8))
    assert calls == [[0.2, 0.6]]


def test_magnitude_scores_leave_the_largest_weights() -> None:
    layer = nn.Linear(10, 10)
    add_scores(layer, magnitude_scores, (0.2,))
    layer.set_capacity(0.2)
    weight = layer._parameters["weight"].detach().abs()
    kept = layer.weight.detach() != 0
    assert weight[kept].min() > weight[~kept].max()
    assert SCORES["weight"] in dict(layer.named_parameters())


def test_score_gradients_follow_weights_that_changed() -> None:
    """Changed in place, exchanged for others, moved to another dtype."""
    layer = scored(nn.Linear(9, 5))

    def check() -> None:
        layer.scores.grad = None
        layer.weight.sum().backward()
        weight = layer._parameters["weight"]
        assert torch.equal(layer.scores.grad, weight.detach() * layer.scores.detach().sign())

    check()
    with torch.no_grad():
        layer._parameters["weight"].neg_()
    check()
    with torch.no_grad():
        layer.scores.neg_()
    check()
    layer._parameters["weight"] = nn.Parameter(torch.randn(5, 9))
    check()
    layer.double()
    check()
