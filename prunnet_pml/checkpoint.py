"""Loading a checkpoint into a prunable network: as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from prunnet_pml.layers import SCORES, ScoredLayer
from prunnet_pml.norms import CAPACITIES, STATISTICS, CapacityNorm, stored_capacities
from prunnet_pml.space import Stamped
from prunnet_pml.user_warning import warn_user

_OTHER_LAYERS = "Make the network with the `filter_fn` and `score_depthwise` that it had then."
_FILLED_IN = (CAPACITIES, *(f"capacity_{name}" for name in STATISTICS))
"""What a norm fills in by itself where a checkpoint lacks it."""
_TRAINED = "prunnet_trained_capacities"
"""In the metadata that torch keeps beside a state dict's keys."""
_MULTIPLES = "prunnet_multiples"
"""There too: by layer, in what multiples units are kept, where that is more than one."""


class Prunable(Stamped):
    """In front of the class of a prunable network: ``load_state_dict`` looks before it copies.

    (A hook would not do: it isn't told whether the caller is strict.)
    """

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401
        """As ``nn.Module.load_state_dict``; where it refuses, nothing was changed.

        Raises:
            ValueError: If the checkpoint is of another architecture: a tensor is none, or has
                another shape, no name is the network's, or (with ``strict``) names are missing or
                unknown.
        """
        if isinstance(state_dict, Mapping):  # what is none, torch refuses
            _check(self, state_dict, strict)
        assigning = {"assign": True} if assign else {}  # which not every network's own takes
        return super().load_state_dict(state_dict, strict, **assigning)

    def _save_to_state_dict(
        self,
        destination: Any,  # noqa: ANN401
        prefix: str,
        keep_vars: bool,
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, "_metadata"):
            metadata = destination._metadata[prefix[:-1]]
            metadata[_TRAINED], metadata[_MULTIPLES] = sorted(_trained(self)), _multiples(self)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *args: Any,  # noqa: ANN401
    ) -> None:
        """Also where the network is a part of what is loaded, and whoever loads it."""
        if any(key.startswith(prefix) and _is_score(key) for key in state_dict):
            then = local_metadata.get(_TRAINED) or _trained_then(self, state_dict, prefix)
            _warn_of_others(self, set(then))
            if _MULTIPLES in local_metadata:
                _warn_of_other_multiples(self, local_metadata[_MULTIPLES])
        _warn_of_old_scores(self, state_dict, prefix)
        _warn_of_lost_scores(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def _check(model: nn.Module, state_dict: Mapping[str, Any], strict: bool) -> None:
    network = _name(model)
    own = model.state_dict()
    for key in own.keys() & state_dict.keys():
        value, given = own[key], state_dict[key]
        first = 1 if _is_filled_in(key) else 0  # a checkpoint brings as many sets as it likes
        if not isinstance(value, Tensor):  # a module's extra state
            continue
        if not isinstance(given, Tensor):
            raise ValueError(
                f"`state_dict` should hold tensors. Found a {type(given).__name__} at `{key}`."
            )
        if value.shape[first:] != given.shape[first:]:
            raise ValueError(
                f"`state_dict` should fit {network}: `{key}` should have shape "
                f"{tuple(value.shape)}. Found {tuple(given.shape)}."
            )
    needed = {key for key in own if not _is_filled_in(key)}
    missing, unexpected = needed - state_dict.keys(), state_dict.keys() - own.keys()
    if missing == needed or (strict and (missing or unexpected)):
        hint = ""
        if not unexpected and missing == {key for key in own if _is_score(key)}:
            hint = " A plain checkpoint lacks scores: load it with strict=False, then reset_scores."
        elif all(_is_score(key) for key in missing | unexpected):
            hint = f" {_OTHER_LAYERS}"
        raise ValueError(
            f"`state_dict` should fit {network}. Found {_some(missing)} missing and "
            f"{_some(unexpected)} unexpected.{hint}"
        )


def _trained(model: nn.Module) -> set[float]:
    return {c for m in model.modules() if isinstance(m, ScoredLayer) for c in m.trained_capacities}


def _trained_then(model: nn.Module, state_dict: Mapping[str, Any], prefix: str) -> set[float]:
    """Which of the network's capacities a checkpoint without metadata (safetensors, say) knows.

    What other sets its norms have may come from a calibration.
    """
    norms = [name for name, m in model.named_modules() if isinstance(m, CapacityNorm)]
    found = [state_dict.get(f"{prefix}{name}.{CAPACITIES}") for name in norms]
    return _trained(model).intersection(*(stored_capacities(u) for u in found if u is not None))


def _warn_of_others(model: nn.Module, then: set[float]) -> None:
    """Says what happens to capacities that only the network, or only its checkpoint, trains."""
    now, network = _trained(model), _name(model)
    found = []
    if new := sorted(now - then):
        found.append(
            f"was not trained at the capacities {new} of {network}: until they are trained or "
            "calibrated, norm statistics there are interpolated between the nearest ones, or "
            "are those of the smallest"
        )
    if gone := sorted(then - now):
        found.append(
            f"was trained at the capacities {gone}, which are not among the trained ones of "
            f"{network}: what it learnt there goes stale if training goes on"
        )
    if found:
        warn_user(f"`state_dict` {'. It '.join(found)}.")


def _warn_of_old_scores(model: nn.Module, state_dict: Mapping[str, Any], prefix: str) -> None:
    """Says that scores will go on ranking weights that are no longer there."""
    without = [
        f"{prefix}{name}.{ranked}"
        for name, layer in model.named_modules()
        if isinstance(layer, ScoredLayer)
        for ranked in layer.scored()
        if f"{prefix}{name}.{ranked}" in state_dict
        and f"{prefix}{name}.{SCORES[ranked]}" not in state_dict
    ]
    if without:
        warn_user(
            f"`state_dict` has weights without their scores, {_some(without)}: the scores of "
            f"{_name(model)} still rank the weights that it had before. Call reset_scores next."
        )


def _warn_of_lost_scores(model: nn.Module, state_dict: Mapping[str, Any], prefix: str) -> None:
    """Says that layers which were pruned then will stay whole."""
    whole = [name for name, module in model.named_modules() if not isinstance(module, ScoredLayer)]
    scores = {f"{prefix}{name}.{scores}" for name in whole for scores in SCORES.values()}
    if lost := scores & state_dict.keys():
        warn_user(
            f"`state_dict` has scores of layers that {_name(model)} does not score, {_some(lost)}: "
            f"they stay whole, beside norm statistics of when they were pruned. {_OTHER_LAYERS}"
        )


def _multiples(model: nn.Module) -> dict[str, int]:
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ScoredLayer)}
    return {name: layer.multiple for name, layer in layers.items() if layer.multiple > 1}


def _warn_of_other_multiples(model: nn.Module, then: Mapping[str, int]) -> None:
    """Says that subnetworks will keep other units than they were trained with."""
    now = _multiples(model)
    if other := sorted(name for name in now.keys() | then if now.get(name) != then.get(name)):
        warn_user(
            f"`state_dict` keeps units of `{other[0]}` in multiples of {then.get(other[0], 1)}, "
            f"{_name(model)} in multiples of {now.get(other[0], 1)}: its capacities keep other "
            "units than were trained. Make the network with the same `round_to`."
        )


def _name(model: nn.Module) -> str:
    return type(model).__name__.removeprefix(Prunable.__name__)


def _is_filled_in(key: str) -> bool:
    return key.rpartition(".")[2] in _FILLED_IN


def _is_score(key: str) -> bool:
    return key.rpartition(".")[2] in SCORES.values()


def _some(names: Iterable[str], shown: int = 3) -> str:
    ordered = sorted(names)
    if not ordered:
        return "none"
    listed = ", ".join(f"`{name}`" for name in ordered[:shown])
    return f"{len(ordered)} ({listed}{', ...' if len(ordered) > shown else ''})"
