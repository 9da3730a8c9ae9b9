"""Three recipes with one factor changed at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from methods.method import Method
from methods.norm_statistics import Norms
from methods.prunable import prunnet_method
from methods.settings import ALL_CAPACITIES, CHANNEL, DEFAULT, Settings


def _numbers(name: str, *values: float) -> dict[str, dict[str, Any]]:
    """Values of a setting, as floats in order."""
    every = sorted(map(float, values))
    return {f"{value:g}": {name: value} for value in every}


FACTORS: dict[str, dict[str, dict[str, Any]]] = {
    "initial scores": {
        "magnitude": {"initial_scores": "magnitude"},
        "uniform": {"initial_scores": "uniform"},
    },
    "scores": {
        "learned": {"scores": "learned"},
        "magnitude of the weights": {"scores": "magnitude"},
        "frozen as they start": {"scores": "frozen"},
    },
    "depthwise convolutions": {
        "whole": {"score_depthwise": False},
        "scored": {"score_depthwise": True},
    },
    "loss space": {
        "logit": {"space": "logit"},
        "embedding": {"space": "embedding", "contrast": 0.0},
    },
    "alignment": _numbers("alignment", 0, 1, 10, 100),
    "contrast": _numbers("contrast", 0, 1, 3),
    "positives of the contrast": {
        "image and class": {"positives": "image and class"},
        "class": {"positives": "class"},
        "image": {"positives": "image"},
    },
    "shared parameters": {"sum": {"shared": "sum"}, "dense": {"shared": "dense"}},
    "projection": {
        "sequential": {"integration": "ConflictAware", "projection": "sequential"},
        "last": {"integration": "ConflictAware", "projection": "last"},
        "none": {"integration": "Sum"},
    },
    "alpha": _numbers("alpha", 0, 0.5, 1, 4),
    "rows": {
        "as the network says": {"per_filter": None},  # filters, unless depthwise ones are scored
        "filters": {"per_filter": True},
        "whole tensors": {"per_filter": False},
    },
    "norm statistics": {norms: {"norms": norms} for norms in
                        ("calibrated", "own", "interpolated", "dense")},
    "trained capacities": {
        "20": {"capacities": (0.2,)},
        "20, 60": {"capacities": (0.6, 0.2)},
        "20, 40, 60, 80": {"capacities": (0.8, 0.6, 0.4, 0.2)},
        "10, 20, 40, 60, 80": {"capacities": (0.8, 0.6, 0.4, 0.2, 0.1)},
        "10, 30, 50, 70, 90": {"capacities": (0.9, 0.7, 0.5, 0.3, 0.1)},
    },
    "subnetworks per step": {
        "all": {"subnetworks_per_step": None},
        "2 of 4": {"subnetworks_per_step": 2},
        "1 of 4": {"subnetworks_per_step": 1},
    },
    "drawn between trained capacities": {
        "none": {"between": 0.0},
        "half": {"between": 0.5},
    },
    "capacities per step": {  # calibrated: most of those drawn own no running averages
        "fixed": {"drawn": 0},
        "20 and 3 drawn": {"capacities": (0.2,), "drawn": 3, "norms": "calibrated"},
        "20 and 1 drawn": {"capacities": (0.2,), "drawn": 1, "norms": "calibrated"},
    },
    "batches of a step": {batches: {"batches": batches} for batches in
                          ("one for all", "one for each", "the one before")},
    "dense steps first": {
        "none": {"dense_share": 0.0},
        "30%": {"dense_share": 0.3},
        "50%": {"dense_share": 0.5},
    },
    "granularity": {
        "weight": {"granularity": "weight"},
        "channel": {"granularity": "channel"},
        "channel, multiples of 8": {"granularity": "channel", "round_to": 8},
    },
}  # fmt: skip
"""Factor -> value -> the settings that it changes. One value of each is a method of its own."""

BASES: dict[str, tuple[Settings, Norms]] = {
    "prunnet-all-capacities": (ALL_CAPACITIES, "calibrated"),
    "prunnet-default": (DEFAULT, "calibrated"),
    "prunnet-channel": (CHANNEL, "own"),
}
"""What a factor is changed of: a recipe, and how its norms are read."""

_LACKING: dict[str, tuple[str, ...]] = {
    "prunnet-all-capacities": (
        "drawn between trained capacities",
        "batches of a step",  # with one for each it is prunnet-own-batches
    ),
    "prunnet-default": ("capacities per step",),  # of all that take part it draws one anyway
    "prunnet-channel": (  # cuts channels, sums, has no contrast
        "granularity", "depthwise convolutions", "positives of the contrast", "alpha", "rows",
        "drawn between trained capacities", "batches of a step",
    ),
}  # fmt: skip
"""Factors that a base does not have."""

_OF_UNTRAINED = (
    "trained capacities", "drawn between trained capacities", "capacities per step",
    "batches of a step",
)  # fmt: skip
"""Factors that are of interest for what untrained capacities find, too."""

_PREFIXES = {
    "prunnet-all-capacities": "",
    "prunnet-default": "default-",
    "prunnet-channel": "channel-",
}


def values_of(factor: str, base: str) -> dict[str, str]:
    """The values that a factor can take of a base, and the method by which it has each."""
    if factor in _LACKING[base]:
        return {}
    return {value: name_of(factor, value, base) for value in FACTORS[factor]}


def name_of(factor: str, value: str, base: str = "prunnet-all-capacities") -> str:
    """The method by which a factor has a value: a base, or one named after them."""
    changed = _changed(FACTORS[factor][value], base)
    for name, recipe in BASES.items():
        if recipe == changed:
            return name
    return f"{_PREFIXES[base]}{factor}={value}".replace(",", "").replace(" ", "-")


def ablations(base: str) -> dict[str, Method]:
    """Every variant of a base that is no base itself, by name."""
    return {
        name: _method(factor, value, base)
        for factor in FACTORS
        for value, name in values_of(factor, base).items()
        if name not in BASES
    }


def _method(factor: str, value: str, base: str) -> Method:
    settings, norms = _changed(FACTORS[factor][value], base)
    every = norms != BASES[base][1] or factor in _OF_UNTRAINED
    summary = f"{base} with {factor}: {value}."
    return prunnet_method(settings, summary, norms=norms, only_trained=not every)


def _changed(changes: Mapping[str, Any], base: str) -> tuple[Settings, Norms]:
    settings, norms = BASES[base]
    others = {name: value for name, value in changes.items() if name != "norms"}
    return replace(settings, **others), changes.get("norms", norms)
