"""A network of granularity "channel": its units scored, and remembered at its root."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

from prunnet_pml.class_exchange import check_free
from prunnet_pml.given_network import check_network
from prunnet_pml.layers import is_scorable
from prunnet_pml.units.example_input import example_images
from prunnet_pml.units.groups import HiddenUnits
from prunnet_pml.units.layers import UnitLayer, add_unit_scores
from prunnet_pml.units.removal import check_units
from prunnet_pml.units.search import find_units

_UNITS = "_hidden_units"


def search_units(
    model: nn.Module,
    layers: Sequence[nn.Module],
    round_to: int | None,
    example_input: Tensor | None,
) -> HiddenUnits:
    """Finds the hidden units of a network, which stays as it is.

    Args:
        model: A plain network.
        layers: Its layers that may lose units.
        round_to: As in ``make_prunable``.
        example_input: As in ``make_prunable``.

    Raises:
        ImportError: If Torch-Pruning is not installed.
        ValueError: If there are no hidden units, or an argument is out of its range.
    """
    if round_to is not None and (type(round_to) is not int or round_to < 1):
        raise ValueError(f"`round_to` should be a positive integer or None. Found {round_to!r}.")
    groups = find_units(model, layers, example_images(model, example_input))
    widest = max(group.units * group.width for group in groups)
    if round_to is not None and round_to >= widest:
        raise ValueError(
            f"`round_to` should be below {widest}, the channels of the widest group: nothing is "
            f"pruned otherwise. Found {round_to}."
        )
    names = {module: name for name, module in model.named_modules()}
    return HiddenUnits(
        tuple(group.rounded(round_to) for group in groups), tuple(names[layer] for layer in layers)
    )


def score_units(
    model: nn.Module,
    units: HiddenUnits,
    initial_scores: Callable[[Tensor], Tensor],
    trained_capacities: tuple[float, ...],
) -> None:
    """Gives each hidden unit of a network a score, in place.

    Args:
        model: A plain network.
        units: Its hidden units.
        initial_scores: Maps the magnitudes of a group's units, [1, units], to a tenth of their
            scores.
        trained_capacities: The capacities that take part in training, largest first.

    Raises:
        ValueError: If the units are of another network, or none, or a layer has an attribute that
            scores need. The network is then as it was.
    """
    if not isinstance(units, HiddenUnits):
        found = type(units).__name__
        raise ValueError(f"`units` should be what hidden_units returns. Found {found}.")
    if not units.groups:
        raise ValueError("`units` should have groups of units. Found none.")
    check_units(model, units.groups, "units")
    modules = dict(model.named_modules())
    readers = [cut.name for group in units.groups for cut in group.readers]
    for name in (*units.layers, *readers):
        if name not in modules or not is_scorable(modules[name]):
            raise ValueError(
                f"`units` should be of {type(model).__name__}. Found no layer `{name}`."
            )
    layers = [modules[name] for name in readers]
    check_free(model, layers, UnitLayer, nn.Linear(1, 1, device="meta"))
    for group in units.groups:
        add_unit_scores(model, group, initial_scores, trained_capacities)
    model.__dict__[_UNITS] = units


def unit_roots(model: nn.Module) -> Iterator[tuple[str, nn.Module, HiddenUnits]]:
    """Name, network and units of what ``make_prunable`` was called with in a bigger module."""
    for name, module in model.named_modules():
        if _UNITS in module.__dict__:
            yield name, module, module.__dict__[_UNITS]


def hidden_units(model: nn.Module) -> HiddenUnits:
    """The hidden units of a network, for ``make_prunable(..., units=...)`` of its like.

    Args:
        model: A prunable network of granularity "channel", or a bigger module with one inside.

    Raises:
        ValueError: If ``model`` has no hidden units with scores.
    """
    check_network(model)
    groups, layers = [], []
    for prefix, _, units in unit_roots(model):
        dot = "." if prefix else ""
        groups += [group.within(prefix) for group in units.groups]
        layers += [prefix + dot + layer for layer in units.layers]
    if not groups:
        raise ValueError(
            "`model` should be a prunable network of granularity 'channel'. "
            f"Found {type(model).__name__}."
        )
    return HiddenUnits(tuple(groups), tuple(layers))


def has_units(model: nn.Module) -> bool:
    """Whether a prunable network is of granularity "channel"."""
    return any(True for _ in unit_roots(model))


def forget_units(root: nn.Module) -> None:
    """Takes away what a network remembers of its units."""
    root.__dict__.pop(_UNITS, None)


def trained_with_units(model: nn.Module) -> set[nn.Parameter]:
    """The weights of all layers that could have lost units."""
    return {
        weight
        for _, root, units in unit_roots(model)
        for name in units.layers
        if isinstance(weight := root.get_submodule(name)._parameters["weight"], nn.Parameter)
    }
