"""What a training step draws: the subnetworks that take part, and its integrator's orders."""

from __future__ import annotations

import torch

FOR_ORDERS, FOR_CAPACITIES = 0, 2**31
"""What numbers are drawn for; further apart than a training has steps."""


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
            "`subnetworks_per_step` should be an integer from 1 to the number of trained "
            f"capacities below 1, {len(capacities)}. Found {count!r}."
        )


def draw_capacities(
    capacities: tuple[float, ...], count: int | None, seed: int, step: int
) -> tuple[float, ...]:
    """``count`` of the capacities, in their order; all of them where it is None."""
    if count is None:
        return capacities
    generator = generator_of(FOR_CAPACITIES, seed, step)
    drawn = torch.randperm(len(capacities), generator=generator, device="cpu")[:count]
    return tuple(capacities[index] for index in sorted(drawn.tolist()))
