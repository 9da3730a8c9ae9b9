"""Loading a checkpoint into a prunable network: as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from prunnet_pml.layers import SCORES, ScoredLayer
from prunnet_pml.norms import CAPACITIES, STATISTICS, stored_capacities
from prunnet_pml.space import Stamped

_FILLED_IN = (CAPACITIES, *(f"capacity_{name}" for name in STATISTICS))
"""What a norm fills in by itself where a checkpoint lacks it."""


class Prunable(Stamped):
    """In front of the class of a prunable network: ``load_state_dict`` looks before it copies.

    (A hook would not do: it isn't told whether the caller is strict.)
    """

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401
        """As ``nn.Module.load_state_dict``; where it refuses, nothing was changed.

        Raises:
            ValueError: If the checkpoint is of another architecture: a tensor has another shape,
                no name is the network's, or (with ``strict``) names are missing or unknown.
        """
        _check(self, state_dict, strict)
        return super().load_state_dict(state_dict, strict, assign)


def _check(model: nn.Module, state_dict: Mapping[str, Any], strict: bool) -> None:
    network = type(model).__name__.removeprefix(Prunable.__name__)
    own = model.state_dict()
    for key in own.keys() & state_dict.keys():
        value, given = own[key], state_dict[key]
        first = 1 if _is_filled_in(key) else 0  # a checkpoint brings as many sets as it likes
        if (
            isinstance(value, Tensor)
            and isinstance(given, Tensor)
            and value.shape[first:] != given.shape[first:]
        ):
            raise ValueError(
                f"`state_dict` should fit {network}: `{key}` should have shape "
                f"{tuple(value.shape)}. Found {tuple(given.shape)}."
            )
    _check_sets(model, state_dict)
    needed = {key for key in own if not _is_filled_in(key)}
    missing, unexpected = needed - state_dict.keys(), state_dict.keys() - own.keys()
    if missing == needed or (strict and (missing or unexpected)):
        hint = ""
        if not unexpected and all(_is_score(key) for key in missing):
            hint = " A plain checkpoint lacks scores: load it with strict=False, then reset_scores."
        raise ValueError(
            f"`state_dict` should fit {network}. Found {_some(missing)} missing and "
            f"{_some(unexpected)} unexpected.{hint}"
        )


def _check_sets(model: nn.Module, state_dict: Mapping[str, Any]) -> None:
    """Norms that lack a trained capacity's set would train without keeping its statistics."""
    trained = {
        c for m in model.modules() if isinstance(m, ScoredLayer) for c in m.trained_capacities
    }
    for key, units in state_dict.items():
        stored = stored_capacities(units) if key.rpartition(".")[2] == CAPACITIES else trained
        if not trained <= set(stored):
            raise ValueError(
                "`state_dict` should hold norm statistics of the trained capacities "
                f"{sorted(trained)}. Found {sorted(stored)}: give those to make_prunable."
            )


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
