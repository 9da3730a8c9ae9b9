"""The capacity of a budget is the largest within it, as trying many capacities finds it too."""

from __future__ import annotations

import math

import networks
import pytest
import torch
from channel_networks import ByHand, make_case
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml import budgets
from prunnet_pml.budgets.search import _STEPS
from prunnet_pml.input_size import stated_input_size

SIZE = (3, 32, 32)
GRID = [step / 20 for step in range(1, 21)]

pytestmark = pytest.mark.filterwarnings("ignore:No norm statistics")  # costs have no need of them


def channel_model(round_to: int | None = None) -> nn.Module:
    model = prunnet.make_prunable(
        ByHand(), granularity="channel", round_to=round_to, example_input=torch.randn(1, *SIZE)
    )
    return with_random_scores(model)


def weight_model(score_bias: bool = False) -> nn.Module:
    return with_random_scores(prunnet.make_prunable(ByHand(), score_bias=score_bias))


def with_random_scores(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for scores in prunnet.score_parameters(model):
            scores.copy_(torch.randn_like(scores))
            scores.view(-1)[:3] = scores.abs().median()  # ties keep more
    return model.eval()


@pytest.fixture(
    scope="module", params=["channel", "channel, multiples of 8", "weight", "weight, biases too"]
)
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    if request.param.startswith("channel"):
        return channel_model(round_to=8 if "8" in request.param else None)
    return weight_model(score_bias="biases" in request.param)


@pytest.fixture(scope="module")
def costs(model: nn.Module) -> dict[float, dict[str, float]]:
    """By trying every capacity of the grid."""
    return {capacity: naive_costs(model, capacity) for capacity in GRID}


def naive_costs(model: nn.Module, capacity: float) -> dict[str, float]:
    """Costs of the network that ``prune`` returns, counted with hooks and by looking for zeros."""
    pruned = prunnet.prune(model, capacity)
    tensors = pruned.state_dict()
    costs = {"macs": naive_macs(pruned)}
    if "channel" in str(granularity(model)):
        costs["params"] = sum(p.numel() for p in pruned.parameters())
        costs["bytes"] = sum(t.numel() * t.element_size() for t in tensors.values())
        return costs
    scored = {
        f"{name}.{kind}": getattr(layer, scores)
        for name, layer in prunnet.scored_layers(model).items()
        for kind, scores in {"weight": "scores", "bias": "bias_scores"}.items()
        if hasattr(layer, scores) and getattr(layer, scores) is not None
    }
    costs["params"] = costs["bytes"] = 0
    for name, tensor in tensors.items():
        kept = int((tensor != 0).sum()) if name in scored else tensor.numel()
        is_parameter = name in dict(pruned.named_parameters())
        costs["params"] += kept if is_parameter else 0
        mask = math.ceil(tensor.numel() / 8) if name in scored and capacity < 1 else 0
        costs["bytes"] += kept * tensor.element_size() + mask
    return costs


def granularity(model: nn.Module) -> str:
    return "channel" if prunnet.units.scoring.has_units(model) else "weight"


def naive_macs(network: nn.Module) -> int:
    """Multiplications of convolutions, linear layers and the products of attention."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d | nn.Linear):
            total += output.numel() * module.weight[0].numel()
        elif hasattr(module, "query"):  # tokens x tokens, twice, for every channel of every head
            tokens = inputs[0].shape[1]
            total += 2 * tokens * tokens * module.value.out_features

    handles = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network(torch.randn(1, *SIZE))
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("names", [("macs",), ("params",), ("bytes",), ("macs", "params", "bytes")])
@pytest.mark.parametrize("between", [0.15, 0.5, 0.9])
def test_the_largest_of_many_capacities_within_the_budget(
    model: nn.Module, costs: dict[float, dict[str, float]], names: tuple[str, ...], between: float
) -> None:
    limits = {}
    for i, name in enumerate(names):
        least, most = costs[GRID[0]][name], costs[1.0][name]
        limits[name] = least + (most - least) * min(1, between + 0.05 * i)
    best = max(c for c in GRID if all(costs[c][name] <= limits[name] for name in names))
    found = prunnet.capacity_for(model, **limits, input_size=SIZE)
    assert found >= best
    assert all(naive_costs(model, found)[name] <= limit for name, limit in limits.items())
    if found < 1:
        beyond = naive_costs(model, found + 1 / _STEPS)
        assert any(beyond[name] > limit for name, limit in limits.items())


def test_what_the_dense_network_takes_is_enough_for_it(
    model: nn.Module, costs: dict[float, dict[str, float]]
) -> None:
    dense = costs[1.0]
    assert prunnet.capacity_for(model, **dense, input_size=SIZE) == 1.0
    if granularity(model) == "channel":
        assert prunnet.capacity_for(model, macs=dense["macs"] - 1, input_size=SIZE) < 1


@pytest.mark.parametrize("name", ["params", "bytes", "macs"])
def test_the_minimum_of_an_infeasible_budget_is_feasible(model: nn.Module, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` should be at least .* Found 7") as error:
        prunnet.capacity_for(model, input_size=SIZE, **{name: 7})
    least = int(str(error.value).split("at least ")[1].split(" ")[0].strip(",").replace(",", ""))
    capacity = prunnet.capacity_for(model, input_size=SIZE, **{name: least})
    assert naive_costs(model, capacity)[name] == least
    with pytest.raises(ValueError, match=f"Found {least - 1:,}"):
        prunnet.capacity_for(model, input_size=SIZE, **{name: least - 1})


def test_macs_that_do_not_fall_are_said_to_be_every_subnetworks() -> None:
    with pytest.raises(ValueError, match="which is what every subnetwork takes"):
        prunnet.capacity_for(weight_model(), macs=1e3, input_size=SIZE)


def test_prune_takes_a_budget_for_a_capacity() -> None:
    case = make_case("test_vit")
    dense = budgets.count_macs(case.plain, (3, 64, 64))
    budget = prunnet.Budget(macs=0.5 * dense, input_size=(3, 64, 64))
    before = networks.snapshot(case.model)
    pruned = prunnet.prune(case.model, budget=budget)
    networks.assert_equal_states(case.model, before)
    capacity = prunnet.capacity_for(case.model, macs=0.5 * dense, input_size=(3, 64, 64))
    assert torch.equal(case.embed(pruned), case.embed(prunnet.prune(case.model, capacity)))
    assert budgets.count_macs(pruned, (3, 64, 64)) <= 0.5 * dense


def test_prune_takes_no_capacity_beside_a_budget() -> None:
    with pytest.raises(ValueError, match="`capacity` should be left out with a budget"):
        prunnet.prune(channel_model(), 0.5, budget=prunnet.Budget(params=1e9))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_timm_networks_say_the_size_of_their_images(name: str) -> None:
    case = make_case(name)
    size = stated_input_size(case.model)
    half = budgets.count_macs(case.plain, size) / 2
    found = prunnet.capacity_for(case.model, macs=half)
    assert found == prunnet.capacity_for(case.model, macs=half, input_size=size)
    assert budgets.count_macs(prunnet.prune(case.model, found), size) <= half


def test_a_part_of_a_bigger_module_is_counted_with_it() -> None:
    inside = channel_model()
    whole = nn.Sequential(inside, nn.Linear(networks.EMBEDDING, 100))
    head = sum(p.numel() for p in whole[1].parameters())
    found = prunnet.capacity_for(whole, params=7000 + head)
    assert found == prunnet.capacity_for(inside, params=7000)
    assert found < 1


def test_the_network_stays_as_it_is() -> None:
    model = channel_model()
    prunnet.set_capacity(model, 0.4)
    before, attributes = networks.snapshot(model), list(vars(model))
    prunnet.capacity_for(model, macs=1e6, latency_ms=1e6, input_size=SIZE)
    networks.assert_equal_states(model, before)
    assert (prunnet.get_capacity(model), list(vars(model))) == (0.4, attributes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "One of macs, params, bytes, latency_ms should be given"),
        ({"macs": 0}, "`macs` should be a positive number"),
        ({"params": "300M"}, "`params` should be a positive number"),
        ({"bytes": True}, "`bytes` should be a positive number"),
        ({"bytes": math.nan}, "`bytes` should be a positive number"),
        ({"macs": 1e6}, "`input_size` should be .channels, height, width.: only a timm network"),
        ({"macs": 1e6, "input_size": (32, 32)}, "`input_size` should be"),
        ({"macs": 1e6, "input_size": 32}, "`input_size` should be"),
        ({"latency_ms": 5, "threads": 0}, "`threads` should be a positive integer"),
        ({"latency_ms": 5, "batch_size": 1.5}, "`batch_size` should be a positive integer"),
        ({"latency_ms": 5, "batch_size": None}, "`batch_size` should be a positive integer"),
    ],
)
def test_bad_budgets_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prunnet.capacity_for(channel_model(), **arguments)


def test_a_plain_network_has_no_capacities() -> None:
    with pytest.raises(ValueError, match="`model` should be a prunable network"):
        prunnet.capacity_for(ByHand(), params=1e6)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_a_network_of_any_precision_has_as_many_macs(kind: torch.dtype) -> None:
    model = channel_model()
    with torch.no_grad():
        for scores in prunnet.score_parameters(model):
            scores.copy_(torch.randperm(len(scores)))  # numbers that all types hold
    budget = {"macs": 700_000, "input_size": SIZE}
    expected = prunnet.capacity_for(model, **budget)
    assert prunnet.capacity_for(model.to(kind), **budget) == expected
