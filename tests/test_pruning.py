"""``prune``: what comes out, and what it leaves alone."""

from __future__ import annotations

import copy
import time
import warnings

import pytest
import timm
import torch
from networks import HandWritten, TinyEmbedder, assert_equal_states, build, images, snapshot
from torch import Tensor, nn

import prunnet_pml as prunnet


@pytest.fixture
def model() -> nn.Module:
    """Trained a little at every capacity, and left in training mode."""
    model = prunnet.make_prunable(TinyEmbedder())
    for capacity in (1.0, *prunnet.trained_capacities(model)):
        with prunnet.capacity(model, capacity):
            model(torch.randn(6, 1, 8, 8))
    return model


@pytest.fixture
def batch() -> Tensor:
    return torch.randn(4, 1, 8, 8)


def embed(model: nn.Module, batch: Tensor, capacity: float) -> Tensor:
    """As the prunable network itself embeds at a capacity."""
    model = copy.deepcopy(model).eval()
    prunnet.set_capacity(model, capacity)
    return model(batch)


@pytest.mark.parametrize("capacity", [1.0, 0.8, 0.5, 0.2])
def test_the_result_equals_the_masked_network(
    model: nn.Module, batch: Tensor, capacity: float
) -> None:
    pruned = prunnet.prune(model, capacity)
    torch.testing.assert_close(pruned(batch), embed(model, batch, capacity), rtol=1e-6, atol=1e-6)
    assert type(pruned) is TinyEmbedder
    assert not pruned.training


def test_the_model_stays_as_it_is(model: nn.Module) -> None:
    """Its state, its capacity, its modes and its gradients; a calibration included."""
    prunnet.set_capacity(model, 0.6)
    model.bn1.eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = snapshot(model)
    prunnet.prune(model, 0.2)
    prunnet.prune(model, 0.3, calibration=[torch.randn(4, 1, 8, 8)])
    assert_equal_states(model, before)
    assert prunnet.get_capacity(model) == 0.6
    assert [model.training, model.bn1.training, model.bn2.training] == [True, False, True]
    assert all((parameter.grad == 1).all() for parameter in model.parameters())


def test_it_prunes_in_inference_mode_too(model: nn.Module, batch: Tensor) -> None:
    with torch.inference_mode():
        pruned = prunnet.prune(model, 0.5)
    assert not any(tensor.is_inference() for tensor in pruned.state_dict().values())
    torch.testing.assert_close(pruned(batch), prunnet.prune(model, 0.5)(batch), rtol=0, atol=0)


def test_the_result_shares_no_memory_with_the_model(model: nn.Module) -> None:
    before = snapshot(model)
    pruned = prunnet.prune(model, 1.0)
    with torch.no_grad():
        for tensor in pruned.state_dict().values():
            tensor.zero_()
    assert_equal_states(model, before)


def test_the_dense_network_comes_back_to_the_bit(batch: Tensor) -> None:
    plain = TinyEmbedder().eval()
    state = copy.deepcopy(plain.state_dict())
    back = prunnet.prune(prunnet.make_prunable(plain), 1.0)
    assert back.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in back.state_dict().items())


def test_shared_weights_stay_shared_where_nothing_is_pruned() -> None:
    plain = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    plain[1].weight = plain[0].weight
    model = prunnet.make_prunable(plain)
    pruned = prunnet.prune(model, 1.0)
    assert pruned[0].weight is pruned[1].weight
    assert pruned[0].weight is not model[0]._parameters["weight"]
    assert prunnet.capacity_for(model, params=64) == 1.0


def test_the_result_is_trainable_and_can_be_made_prunable_again(
    model: nn.Module, batch: Tensor
) -> None:
    model.bn1.weight.requires_grad_(False)
    pruned = prunnet.prune(model, 0.4)
    pruned(batch).sum().backward()
    assert {name for name, p in pruned.named_parameters() if p.grad is not None} == {
        name for name, _ in TinyEmbedder().named_parameters() if name != "bn1.weight"
    }
    again = prunnet.make_prunable(pruned, (0.1,))
    assert prunnet.trained_capacities(again) == (0.1,)


def test_pruned_biases_are_zero(batch: Tensor) -> None:
    model = prunnet.make_prunable(TinyEmbedder(), score_bias=True).eval()
    pruned = prunnet.prune(model, 0.2)
    assert (pruned.conv2.bias != 0).sum() == 2
    torch.testing.assert_close(pruned(batch), embed(model, batch, 0.2), rtol=1e-6, atol=1e-6)


def test_calibration_gives_exact_statistics(model: nn.Module) -> None:
    loader = [torch.randn(6, 1, 8, 8) for _ in range(3)]
    pruned = prunnet.prune(model, 0.3, calibration=loader)
    twin = copy.deepcopy(pruned)
    torch.optim.swa_utils.update_bn(loader, twin)
    for key, value in twin.state_dict().items():
        torch.testing.assert_close(pruned.state_dict()[key], value)


def test_a_capacity_without_statistics_of_its_own_asks_for_a_calibration(
    model: nn.Module,
) -> None:
    with pytest.warns(UserWarning, match=r"interpolated .*Found 0\.1, where those of 0\.2, "):
        prunnet.prune(model, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prunnet.prune(model, 0.1, calibration=[torch.randn(4, 1, 8, 8)])
        prunnet.prune(model, 0.2)
        prunnet.calibrate(model, [torch.randn(4, 1, 8, 8)], [0.1])
        prunnet.prune(model, 0.1)
        prunnet.prune(prunnet.make_prunable(nn.Linear(4, 4)), 0.1)  # no norms, nothing to warn of


def test_the_trunk_inside_a_bigger_module_is_pruned(model: nn.Module, batch: Tensor) -> None:
    bigger = nn.Sequential(model, nn.Linear(4, 2))
    pruned = prunnet.prune(bigger, 0.4)
    assert type(pruned[0]) is TinyEmbedder
    torch.testing.assert_close(pruned(batch), embed(bigger, batch, 0.4), rtol=1e-6, atol=1e-6)


def test_a_pruned_timm_network_keeps_its_timm_side() -> None:
    model = prunnet.make_prunable(build("test_resnet"))
    pruned = prunnet.prune(model, 0.4)
    assert type(pruned) is timm.models.resnet.ResNet
    assert pruned.pretrained_cfg == model.pretrained_cfg
    pruned.reset_classifier(3)
    assert pruned(images("test_resnet")).shape == (2, 3)


def test_torch_itself_takes_its_fast_way_through_masked_attention() -> None:
    """In eval mode, TransformerEncoderLayer hands its weights to one fused kernel."""
    model = prunnet.make_prunable(HandWritten()).eval()
    batch = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        fused = embed(model, batch, 0.4)
        torch.testing.assert_close(prunnet.prune(model, 0.4)(batch), fused, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(fused, embed(model, batch, 0.4), rtol=1e-4, atol=1e-5)


def test_pruning_a_resnet50_takes_seconds_at_most() -> None:
    """The target is one second on a quiet machine; this is a guard against a slow path."""
    model = prunnet.make_prunable(timm.create_model("resnet50", num_classes=8))
    start = time.process_time()
    prunnet.prune(model, 0.2)
    assert time.process_time() - start < 5
