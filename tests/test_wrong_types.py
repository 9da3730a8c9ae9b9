"""What is no network, loader or budget at all: named as such, wherever it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning.losses import ContrastiveLoss
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml import hub
from prunnet_pml.export import export_program
from prunnet_pml.units.groups import Cut, HiddenUnits, UnitGroup

TAKES_A_NETWORK: dict[str, Callable] = {
    "make_prunable": prunnet.make_prunable,
    "is_prunable": prunnet.is_prunable,
    "set_capacity": lambda network: prunnet.set_capacity(network, 0.5),
    "get_capacity": prunnet.get_capacity,
    "reset_scores": prunnet.reset_scores,
    "prune": lambda network: prunnet.prune(network, 0.5),
    "prune, budget": lambda network: prunnet.prune(network, budget=prunnet.Budget(params=9)),
    "capacity_for": lambda network: prunnet.capacity_for(network, params=9),
    "calibrate": lambda network: prunnet.calibrate(network, []),
    "evaluate": lambda network: prunnet.evaluate(network, (torch.rand(2, 3), torch.arange(2))),
    "space_id": prunnet.space_id,
    "set_space_id": prunnet.set_space_id,
    "hidden_units": prunnet.hidden_units,
    "kept_units": lambda network: prunnet.kept_units(network, 0.5),
    "CompatibleLoss": lambda network: prunnet.CompatibleLoss(ContrastiveLoss(), network),
    "ConflictAwareOptimizer": lambda network: prunnet.ConflictAwareOptimizer(
        torch.optim.SGD(TinyEmbedder().parameters(), lr=0.1), network
    ),
    "export_program": lambda network: export_program(network, "network.pt2", 0.5),
    "save_pretrained": lambda network: hub.save_pretrained(network, "network"),
    "from_pretrained": lambda network: hub.from_pretrained("network", model=network),
}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("resnet18", "'resnet18'"),
        (TinyEmbedder, "the class TinyEmbedder"),
        (TinyEmbedder().state_dict(), "OrderedDict"),
    ],
    ids=["name", "class", "state dict"],
)
@pytest.mark.parametrize("function", TAKES_A_NETWORK.values(), ids=TAKES_A_NETWORK)
def test_what_is_no_network(
    function: Callable,
    given: object,
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        function(given)
    assert str(caught.value) == f"`model` should be a network, an nn.Module. Found {found}."
    assert not any(tmp_path.iterdir())


def test_what_kept_units_can_not_be_cut_out_of() -> None:
    with pytest.raises(ValueError, match=r"`network` should be a network, .* Found the class Tiny"):
        prunnet.apply_kept_units(TinyEmbedder, {"groups": []})


def test_what_can_not_be_pushed() -> None:
    with pytest.raises(ValueError, match=r"`source` should be a network or a folder\. Found <"):
        hub.push_to_hub(TinyEmbedder, "team/tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filter_fn": 5}, "`filter_fn` should be a function of a module and its name. Found 5."),
        (
            {"granularity": "channel", "units": 5},
            "`units` should be what hidden_units returns. Found int.",
        ),
        (
            {"example_input": torch.randn(2, 3, 9, 9)},
            "`example_input` should be left out with granularity 'weight'. Found Tensor.",
        ),
    ],
)
def test_what_make_prunable_can_not_work_with(arguments: dict, message: str) -> None:
    plain = TinyEmbedder()
    with pytest.raises(ValueError) as caught:
        prunnet.make_prunable(plain, **arguments)
    assert str(caught.value) == message
    assert type(plain) is TinyEmbedder
    assert not prunnet.is_prunable(plain)


def test_units_are_not_printed() -> None:
    """They are pages long."""
    units = HiddenUnits((UnitGroup(2, (Cut("conv1", "out"),), ()),), ("conv1",))
    with pytest.raises(ValueError, match=r"with granularity 'weight'\. Found HiddenUnits\.$"):
        prunnet.make_prunable(TinyEmbedder(), units=units)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 5}, "`budget` should be a Budget. Found 5."),
        ({"budget": {"macs": 5}}, "`budget` should be a Budget. Found {'macs': 5}."),
        ({"capacity": 0.5, "calibration": 5}, "`calibration` should be a loader of images. Found "),
    ],
)
def test_what_prune_can_not_work_with(arguments: dict, message: str) -> None:
    model: nn.Module = prunnet.make_prunable(TinyEmbedder())
    with pytest.raises(ValueError) as caught:
        prunnet.prune(model, **arguments)
    assert str(caught.value).startswith(message)


def test_what_calibrate_can_not_work_with() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    expected = r"^`loader` should yield batches of images, as a list of one does\. Found {}\.$"
    for given, found in ((5, "int"), (torch.randn(4, 1, 8, 8), "Tensor")):
        with pytest.raises(ValueError, match=expected.format(found)):
            prunnet.calibrate(model, given)
