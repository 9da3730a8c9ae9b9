"""What a training step draws: the subnetworks that take part, and its integrator's orders."""

from __future__ import annotations

import torch

ORDERS, CAPACITIES = 0, 2**31
"""What is drawn; further apart than a training has steps."""


def generator_of(purpose: int, seed: int, step: int) -> torch.Generator:
    """The same for a seed, a step and a purpose, whatever was drawn before."""
    start = 2_654_435_761 * seed  # far apart in the 32 bits that the generator looks at
    return torch.Generator().manual_seed((start + step + purpose) % 2**32)


def check_count(count: int | None, capacities: tuple[float, ...]) -> None:
    """Refuses a count of subnetworks that can't be drawn.

    Raises:
        ValueError: If there are not that many capacities, or it is no count.
    """
    if count is not None and (type(count) is not int or not 1 <= count <= len(capacities)):
        raise ValueError(
            f"`subnetworks_per_step` should be an integer from 1 to {len(capacities)}, the trained "
            f"capacities below 1. Found {count!r}."
        )


def draw_capacities(
    capacities: tuple[float, ...], count: int | None, seed: int, step: int
) -> tuple[float, ...]:
    """So many of the capacities, in their order; all if there is no count."""
    if count is None:
        return capacities
    generator = generator_of(CAPACITIES, seed, step)
    drawn = torch.randperm(len(capacities), generator=generator)[:count]
    return tuple(capacities[index] for index in sorted(drawn.tolist()))
