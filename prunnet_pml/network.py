"""The prunable network: made from any network, read at any capacity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from prunnet_pml.checkpoint import Prunable
from prunnet_pml.class_exchange import Exchanged, check_free, exchange_class
from prunnet_pml.given_network import check_network, unwrapped
from prunnet_pml.initial_scores import InitialScores, score_function
from prunnet_pml.layers import ScoredLayer, add_scores
from prunnet_pml.masks import check_capacities, check_capacity
from prunnet_pml.norms import CapacityNorm, add_sets, owns_statistics, warn_of_single_sets
from prunnet_pml.plain import make_plain
from prunnet_pml.selection import layers_to_score
from prunnet_pml.space import check_space_id, new_space_id, stamp
from prunnet_pml.units.groups import HiddenUnits
from prunnet_pml.units.scoring import score_units, search_units, trained_with_units

TRAINED_CAPACITIES = (0.2, 0.4, 0.6, 0.8)
"""The capacities that the paper trains, beside the dense network."""

Granularity = Literal["weight", "channel"]


def make_prunable(
    model: nn.Module,
    capacities: Iterable[float] = TRAINED_CAPACITIES,
    *,
    filter_fn: Callable[[nn.Module, str], bool] | None = None,
    initial_scores: InitialScores = "magnitude",
    score_bias: bool = False,
    score_depthwise: bool = False,
    generator: torch.Generator | None = None,
    space_id: str | None = None,
    granularity: Granularity = "weight",
    round_to: int | None = None,
    example_input: Tensor | None = None,
    units: HiddenUnits | None = None,
) -> nn.Module:
    """Gives every prunable weight, or hidden unit, of a network a learnable score, in place.

    The network computes what it did before, to the bit, until a capacity below 1 is set. From then
    on ``layer.weight`` is the masked weight and no leaf; the parameters are what
    ``named_parameters()`` gives: freeze and initialise those. What is frozen before has frozen
    scores. Convert to ``SyncBatchNorm`` before.

    Args:
        model: Any network. It keeps its parameter names and methods, and ``isinstance`` knows it;
            only its class becomes a subclass, as those of its layers and norms do.
        capacities: The trained capacities, below 1, that steps draw from. The dense network always
            takes part, those in between may (``between`` of ``ConflictAwareOptimizer``).
        filter_fn: Called as ``filter_fn(module, name)`` for every Conv2d and Linear; those for
            which it is true are scored. By default all but the embedding head, that is what timm's
            ``get_classifier()`` returns; a hand-written network without that method names its head
            here. ``scored_layers(model)`` shows what was scored.
        initial_scores: ``"magnitude"`` ranks the weights as their magnitude does (for pretrained
            weights, which random scores would destroy). ``"uniform"`` draws from
            U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as the paper does. Hidden units: 10 x either.
        score_bias: Whether biases are scored and pruned too. They are under 0.1% of the parameters.
            Without a fan-in, their uniform scores are drawn from U(-1, 1).
        score_depthwise: Whether depthwise convolutions that pass ``filter_fn`` are scored and
            pruned too, as in the paper. They are 3% of a MobileNetV2's parameters, and a channel
            sees the image by its nine numbers alone. Of granularity ``"channel"`` it has no effect:
            depthwise filters go with their channels.
        generator: Draws the uniform scores; to be left out with ``"magnitude"``.
        space_id: The id of an existing space that training goes on in; a new one by default.
        granularity: What is scored. ``"weight"``: weights, as in the paper. ``"channel"``:
            every hidden unit, that is the channels inside of blocks, the hidden units of MLPs and
            the attention heads; the residual stream and the embedding stay whole, and ``prune``
            returns a network that is smaller and faster. It needs the extra ``structured``.
        round_to: Of granularity ``"channel"``: the kept channels of every group of units are a
            multiple of this, 8 for instance, where it has as many.
        example_input: Of granularity ``"channel"``: a batch that ``model`` takes, to find the units
            with. A timm network says itself what it takes.
        units: Of granularity ``"channel"``: what ``hidden_units`` says of a network like this one.
            Then none are looked for, Torch-Pruning is not needed, and the three arguments that
            say which units there are, are left out.

    Returns:
        ``model`` itself.

    Raises:
        ImportError: If ``granularity`` is ``"channel"`` and Torch-Pruning is not installed.
        ValueError: If there is nothing to score, the network is prunable already or wrapped (in
            ``DistributedDataParallel``, say), a layer or norm has an attribute that a prunable one
            gets, or an argument is out of its range. The network is then as it was.
    """
    trained = check_capacities(capacities)
    _check_plain(model)
    space = new_space_id() if space_id is None else check_space_id(space_id)
    score = score_function(initial_scores, generator)
    layers = layers_to_score(model, filter_fn, score_depthwise or granularity == "channel")
    if granularity == "weight":
        _refuse("granularity 'weight'", round_to=round_to, example_input=example_input, units=units)
    elif granularity == "channel":
        _refuse("granularity 'channel'", score_bias=score_bias or None)
        if units is None:
            units = search_units(model, layers, round_to, example_input)
        else:
            _refuse("`units`", filter_fn=filter_fn, round_to=round_to, example_input=example_input)
    else:
        raise ValueError(f"`granularity` should be 'weight' or 'channel'. Found {granularity!r}.")
    if units is None:
        linear = nn.Linear(1, 1, device="meta")
        check_free(model, layers, ScoredLayer, linear, "rename it, or leave it out by `filter_fn`")
    norms = [module for module in model.modules() if owns_statistics(module)]
    check_free(model, norms, CapacityNorm, nn.BatchNorm1d(1, device="meta"))
    warn_of_single_sets(model)
    try:
        if units is not None:
            score_units(model, units, score, trained)
        else:
            for layer in layers:
                add_scores(layer, score, trained, score_bias)
        for norm in norms:
            add_sets(norm, trained)
    except BaseException:  # an interrupt, too, leaves the network as it was
        make_plain(model)
        raise
    if not isinstance(model, Exchanged):  # a single layer or norm is one already
        exchange_class(model, Prunable)
    stamp(model, space)
    return model


def set_capacity(model: nn.Module, capacity: float) -> None:
    """Makes every forward of a prunable network, from now on, that of one capacity.

    Args:
        model: A prunable network, or a bigger module with one inside.
        capacity: In (0, 1]. 1 is the dense network.

    Raises:
        ValueError: If ``capacity`` is not in (0, 1], or there is no scored layer in ``model``.
    """
    capacity = check_capacity(capacity)
    first_scored_layer(model)
    for module in _at_capacities(model):
        module.set_capacity(capacity)


@contextmanager
def capacity(model: nn.Module, value: float) -> Iterator[None]:
    """``with capacity(model, 0.2): ...`` runs the block at that capacity, then restores the last.

    Parts of a bigger module that were at several capacities go back to their own.

    Raises:
        ValueError: As ``set_capacity``.
    """
    first_scored_layer(model)
    before = [(module, module.capacity) for module in _at_capacities(model)]
    set_capacity(model, value)
    try:
        yield
    finally:
        for module, last in before:
            module.set_capacity(last)


def get_capacity(model: nn.Module) -> float:
    """The capacity that a prunable network computes at now."""
    return first_scored_layer(model).capacity


def trained_capacities(model: nn.Module) -> tuple[float, ...]:
    """Those below 1 that own norm statistics and that steps draw from, largest first."""
    return first_scored_layer(model).trained_capacities


def is_prunable(model: nn.Module) -> bool:
    """Whether there is a scored layer in a network.

    Raises:
        ValueError: If ``model`` is no network.
    """
    check_network(model)
    return any(isinstance(module, ScoredLayer) for module in model.modules())


def scored_layers(model: nn.Module) -> dict[str, ScoredLayer]:
    """The scored layers of a prunable network by name.

    Raises:
        ValueError: If there is none.
    """
    first_scored_layer(model)
    return {name: m for name, m in model.named_modules() if isinstance(m, ScoredLayer)}


def first_scored_layer(model: nn.Module) -> ScoredLayer:
    """The first of them: what all agree on stands there.

    Raises:
        ValueError: If there is none.
    """
    check_network(model)
    for module in model.modules():
        if isinstance(module, ScoredLayer):
            return module
    raise ValueError(
        "`model` should be a prunable network, see make_prunable. "
        f"Found {type(model).__name__} without scored layers."
    )


def score_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The scores of a prunable network: for a parameter group of their own, say."""
    return [scores for layer in scored_layers(model).values() for scores in layer.scored().values()]


def scored_parameters(model: nn.Module) -> set[nn.Parameter]:
    """What is integrated: the scores, and the weights and biases that they rank.

    Of granularity "channel": the weights of all layers that could have lost units.
    """
    return trained_with_units(model) | {
        parameter
        for layer in scored_layers(model).values()
        for name, scores in layer.scored().items()
        for parameter in (layer._parameters[name], scores)
    }


def reset_scores(
    model: nn.Module,
    initial_scores: InitialScores = "magnitude",
    generator: torch.Generator | None = None,
) -> None:
    """Starts the scores anew: after a plain checkpoint was loaded into a prunable network, say.

    Args:
        model: A prunable network.
        initial_scores: As in ``make_prunable``.
        generator: As in ``make_prunable``.
    """
    score = score_function(initial_scores, generator)
    with torch.no_grad():
        for layer in scored_layers(model).values():
            for name, scores in layer.scored().items():
                scores.copy_(layer.first_scores(name, score))
            layer.find_masks()


def _at_capacities(model: nn.Module) -> list[ScoredLayer | CapacityNorm]:
    """What of a network reads other tensors at another capacity."""
    return [m for m in model.modules() if isinstance(m, ScoredLayer | CapacityNorm)]


def _check_plain(model: nn.Module) -> None:
    """Raises ValueError if a network is prunable already, or not one to exchange the class of."""
    if is_prunable(model):
        network = type(model).__name__.removeprefix(Prunable.__name__)
        raise ValueError(f"`model` should be a plain network. Found {network}, prunable already.")
    if unwrapped(model) is not model:  # whose reducer, or graph, would know of no scores
        raise ValueError(
            f"`model` should be made prunable before it is wrapped. Found a {type(model).__name__}."
        )
    if isinstance(model, GraphModule):  # every copy of one has another class
        raise ValueError(
            "`model` should be a module around the GraphModule of torch.fx: nn.Sequential(model), "
            "say. Found the GraphModule itself."
        )


def _refuse(beside: str, **arguments: object) -> None:
    """Raises ValueError if an argument is given that does not go with another one."""
    for name, value in arguments.items():
        if value is not None:
            found = value if isinstance(value, int) else type(value).__name__
            raise ValueError(f"`{name}` should be left out with {beside}. Found {found}.")
