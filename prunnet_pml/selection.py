"""Which layers of a network get scores: by default neither its head nor depthwise convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from torch import nn
from torch.nn.parameter import is_lazy

from prunnet_pml.layers import TAKEN, is_scorable


def layers_to_score(
    model: nn.Module,
    filter_fn: Callable[[nn.Module, str], bool] | None,
    score_depthwise: bool,
) -> list[nn.Module]:
    """The layers of a network that get scores.

    Args:
        model: A plain network.
        filter_fn: As in ``make_prunable``.
        score_depthwise: As in ``make_prunable``.

    Raises:
        ValueError: If there are none, ``filter_fn`` is no function, the network has parameters
            without a shape yet, or one of the layers has an attribute that scores need.
    """
    if not (filter_fn is None or callable(filter_fn)):
        raise ValueError(
            f"`filter_fn` should be a function of a module and its name. Found {filter_fn!r}."
        )
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise ValueError(f"`model` should have run once. Found `{lazy[0]}` without a shape.")
    candidates = {name: module for name, module in model.named_modules() if is_scorable(module)}
    if not candidates:
        raise ValueError(
            f"`model` should have a Conv2d or Linear. Found none in {type(model).__name__}."
        )
    if filter_fn is None:
        heads = _embedding_heads(model)
        chosen = [module for module in candidates.values() if module not in heads]
    else:
        chosen = [module for name, module in candidates.items() if filter_fn(module, name)]
    layers = [module for module in chosen if score_depthwise or not is_depthwise(module)]
    if not layers:
        names = ", ".join(f"`{name}`" for name in list(candidates)[:3])
        names += ", ..." if len(candidates) > 3 else ""
        chosen_by = "`filter_fn`" if filter_fn else "The default of `filter_fn` (no embedding head)"
        others = " that is not depthwise" if chosen else ""
        raise ValueError(
            f"{chosen_by} should be true for a Conv2d or Linear{others} of {type(model).__name__}. "
            f"Found none among {len(candidates)} ({names})."
        )
    for name, layer in candidates.items():
        taken = [attribute for attribute in TAKEN if hasattr(layer, attribute)]
        if taken and layer in layers:
            raise ValueError(
                f"`{name}` should have no attribute `{taken[0]}`, which a scored layer has. Found "
                f"one in {type(layer).__name__}: rename it, or leave the layer out by `filter_fn`."
            )
    return layers


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
