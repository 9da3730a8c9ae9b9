"""Which layers of a network get scores: by default neither its head nor depthwise convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from torch import nn
from torch.nn.parameter import is_lazy

from prunnet_pml.layers import is_scorable
from prunnet_pml.user_warning import warn_user


def layers_to_score(
    model: nn.Module,
    filter_fn: Callable[[nn.Module, str], bool] | None,
    score_depthwise: bool,
) -> list[nn.Module]:
    """The layers of a network that get scores; warns of those whose weight is no parameter.

    Args:
        model: A plain network.
        filter_fn: As in ``make_prunable``.
        score_depthwise: As in ``make_prunable``.

    Raises:
        ValueError: If there are none, ``filter_fn`` is no function, or the network has parameters
            without a shape yet.
    """
    if not (filter_fn is None or callable(filter_fn)):
        raise ValueError(
            f"`filter_fn` should be a function of a module and its name. Found {filter_fn!r}."
        )
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise ValueError(f"`model` should have run once. Found `{lazy[0]}` without a shape.")
    kinds = nn.Conv2d | nn.Linear
    of_kind = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    scorable = [name for name, module in of_kind.items() if is_scorable(module)]
    if not scorable:
        whose = " whose weight is a floating-point parameter" if of_kind else ""
        raise ValueError(
            f"`model` should have a Conv2d or Linear{whose}. Found none in {type(model).__name__}."
        )
    if filter_fn is None:
        heads = _embedding_heads(model)
        chosen = {name: module for name, module in of_kind.items() if module not in heads}
    else:
        chosen = {name: module for name, module in of_kind.items() if filter_fn(module, name)}
    wanted = [name for name in chosen if score_depthwise or not is_depthwise(chosen[name])]
    layers = {name: chosen[name] for name in wanted if name in scorable}
    if not layers:
        names = ", ".join(f"`{name}`" for name in scorable[:3])
        names += ", ..." if len(scorable) > 3 else ""
        chosen_by = "`filter_fn`" if filter_fn else "The default of `filter_fn` (no embedding head)"
        others = " that is not depthwise" if chosen else ""
        raise ValueError(
            f"{chosen_by} should be true for a Conv2d or Linear{others} of {type(model).__name__}. "
            f"Found none among {len(scorable)} ({names})."
        )
    if passed_over := [name for name in wanted if name not in layers]:
        warn_user(
            f"{len(passed_over)} of {len(wanted)} layers of `model` get no scores and stay whole, "
            f"`{passed_over[0]}` for one: its weight is no floating-point parameter, but computed "
            "(by weight_norm, spectral_norm or torch.nn.utils.prune) or quantised."
        )
    return [*layers.values()]


def is_depthwise(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether every filter of a convolution reads one channel of several, however many do each."""
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1


def _embedding_heads(model: nn.Module) -> set[nn.Module]:
    """Every module inside what timm's ``get_classifier()`` returns, wherever a trunk stands."""
    heads: set[nn.Module] = set()
    for module in model.modules():
        if callable(get_classifier := getattr(module, "get_classifier", None)):
            found = get_classifier()
            for head in found if isinstance(found, tuple | list) else (found,):
                if isinstance(head, nn.Module):
                    heads.update(head.modules())
    return heads
