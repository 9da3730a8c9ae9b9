"""Whether an optimizer can train all capacities of a network, or an error that says why not."""

from __future__ import annotations

import torch
from torch import nn

from prunnet_pml.network import score_parameters, scored_layers
from prunnet_pml.norms import check_norms


def check_trainable(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Refuses what would train something else than the capacities of a network.

    Args:
        model: The network.
        optimizer: The one that is to be wrapped.

    Raises:
        ValueError: If ``optimizer`` is none, steps by a closure or lacks scores of ``model``, or if
            that is not prunable, trains other capacities in one part than in another, or has norms
            that were replaced.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        found = type(optimizer).__name__ if isinstance(optimizer, nn.Module) else optimizer
        raise ValueError(f"`optimizer` should be a torch Optimizer. Found {found!r}.")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError("`optimizer` should step without a closure. Found LBFGS.")
    _check_scores(model, optimizer)
    _check_capacities(model)
    check_norms(model)


def _check_scores(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    held = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    missing = [s for s in score_parameters(model) if s.requires_grad and s not in held]
    if missing:
        names = {parameter: name for name, parameter in model.named_parameters()}
        raise ValueError(
            f"`optimizer` should hold the scores of `model`. Found {len(missing)} missing "
            f"(`{names[missing[0]]}`, ...): build it after make_prunable."
        )


def _check_capacities(model: nn.Module) -> None:
    """Where a network has several prunable parts, one loop trains all of them."""
    trained = {layer.trained_capacities for layer in scored_layers(model).values()}
    if len(trained) > 1:
        raise ValueError(
            "`model` should train the same capacities in all its parts. "
            f"Found {' and '.join(map(str, sorted(trained)))}."
        )
