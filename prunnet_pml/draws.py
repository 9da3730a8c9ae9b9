"""What a training step draws: the subnetworks that take part, and its integrator's orders."""

from __future__ import annotations

import itertools
from numbers import Real

import torch

from prunnet_pml.masks import check_capacity

FOR_ORDERS, FOR_CAPACITIES = 0, 2**31
"""What numbers are drawn for; further apart than a training has steps."""


def generator_of(purpose: int, seed: int, step: int) -> torch.Generator:
    """The same for a seed, a step and a purpose, whatever was drawn before."""
    start = 2_654_435_761 * seed  # far apart in the 32 bits that the generator looks at
    return torch.Generator().manual_seed((start + step + purpose) % 2**32)


def check_draws(count: int | None, between: float, trained: tuple[float, ...]) -> None:
    """Refuses a count of subnetworks, or a share of those between, that can't be drawn.

    Args:
        count: How many of the trained capacities a step draws; None: it takes them all.
        between: See ``draw_capacities``.
        trained: The trained capacities, largest first.

    Raises:
        ValueError: If there are not that many capacities, or an argument is out of its range.
    """
    if count is not None and (type(count) is not int or not 1 <= count <= len(trained)):
        raise ValueError(
            "`subnetworks_per_step` should be an integer from 1 to the number of trained "
            f"capacities below 1, {len(trained)}. Found {count!r}."
        )
    if isinstance(between, bool) or not isinstance(between, Real) or not 0 <= between < 1:
        raise ValueError(f"`between` should be a number in [0, 1). Found {between!r}.")


def draw_capacities(
    trained: tuple[float, ...], count: int | None, between: float, seed: int, step: int
) -> tuple[float, ...]:
    """``count`` of the trained capacities, largest first as they are; all where it is None.

    In the share ``between`` of its draws a trained capacity gives its place to one between it and
    the next lower, drawn evenly. The lowest never does.
    """
    if count is None:
        return trained
    generator = generator_of(FOR_CAPACITIES, seed, step)
    places = torch.randperm(len(trained), generator=generator, device="cpu")[:count].tolist()
    chances, shares = torch.rand(2, count, generator=generator, dtype=torch.float64, device="cpu")
    lower = dict(itertools.pairwise(trained))
    drawn = []
    for place, chance, share in zip(sorted(places), chances.tolist(), shares.tolist(), strict=True):
        capacity = trained[place]
        if chance < between and capacity in lower:
            capacity -= share * (capacity - lower[capacity])
        drawn.append(check_capacity(capacity))
    return tuple(drawn)


def drawn_for(trained: tuple[float, ...], capacity: float) -> float:
    """Whose place a drawn capacity takes: the smallest of the trained ones, and 1, from it on.

    What is logged of it goes by that one's name.
    """
    return min(c for c in (1.0, *trained) if c >= capacity)


def steps_for_a_draw(
    trained: tuple[float, ...], count: int | None, between: float, capacity: float
) -> float:
    """In how many steps a trained capacity is drawn once, in the mean.

    1 for the dense network, for all where nothing is drawn, and for what is not trained by name.
    """
    if count is None or capacity not in trained:
        return 1
    itself = 1 if capacity == trained[-1] else 1 - between
    return len(trained) / (count * itself)
