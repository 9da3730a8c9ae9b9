"""The scores that training starts from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor

InitialScores = Literal["magnitude", "uniform"]

_MAGNITUDE = 0.1
"""Root mean square of scores that start from magnitudes."""


def score_function(
    initial_scores: InitialScores, generator: torch.Generator | None
) -> Callable[[Tensor], Tensor]:
    """What maps a weight to its scores, see ``make_prunable``.

    Raises:
        ValueError: If there is no such choice, or ``generator`` is none or draws nothing.
    """
    if initial_scores == "magnitude":
        if generator is not None:
            raise ValueError(
                "`generator` should be left out with initial_scores 'magnitude'. "
                f"Found {type(generator).__name__}."
            )
        return magnitude_scores
    if initial_scores == "uniform":
        if not isinstance(generator, torch.Generator | None):
            raise ValueError(f"`generator` should be a torch.Generator. Found {generator!r}.")
        return partial(uniform_scores, generator=generator)
    raise ValueError(
        f"`initial_scores` should be 'magnitude' or 'uniform'. Found {initial_scores!r}."
    )


def uniform_scores(weight: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Scores from U(-1/sqrt(fan_in), 1/sqrt(fan_in)): the paper's choice, to train from scratch.

    A tensor of one dimension, a bias, has no fan-in: its scores are from U(-1, 1).
    """
    bound = 1 / math.sqrt(max(1, weight[0].numel())) if weight.dim() > 1 else 1.0
    return torch.empty_like(weight).uniform_(-bound, bound, generator=generator)


def magnitude_scores(weight: Tensor) -> Tensor:
    """Scores that rank as the weights' magnitudes do, with a root mean square of 0.1.

    A pretrained network then starts as its own magnitude-pruned self; random scores would destroy
    it. How small they are says how fast training can change the ranks.
    """
    magnitude = weight.detach().abs()
    magnitude = magnitude.to(torch.promote_types(magnitude.dtype, torch.float32))  # squares: half
    scale = magnitude.square().mean().sqrt() / _MAGNITUDE
    scores = torch.where(scale > 0, magnitude / scale, torch.full_like(magnitude, _MAGNITUDE))
    return scores.to(weight.dtype)
