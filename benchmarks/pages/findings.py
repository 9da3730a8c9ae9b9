"""Sentences that say what was found on a task, each made of the results that it speaks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drawings.curves import SELF_ONLY
from methods import METHODS
from pages.numbers import spread
from study_results import Runs

Methods = Mapping[str, Runs]
OURS = ("prunnet-default", "prunnet-channel")
"""What the library advises; all else are other methods."""


def _at_20(methods: Methods, *names: str) -> list[float] | None:
    """What each finds with 20% in the dense gallery; None if one of them was not measured."""
    return [methods[n].mean(0.2, 1.0) for n in names] if set(names) <= set(methods) else None


def _norms(methods: Methods) -> str:
    if not (found := _at_20(methods, "prunnet-default", "norm-statistics=dense")):
        return ""
    return (
        "**Norm statistics per capacity.** With its own, 20% of the network finds "
        f"{found[0]:.1f} in the dense gallery;\n  the same weights read with the dense network's "
        f"statistics find {found[1]:.1f}."
    )


def _pruning(methods: Methods) -> str:
    if not (found := _at_20(methods, "prunnet-default", "magnitude-pruning")):
        return ""
    return (
        f"**Training the capacities at all.** A prunable network finds {found[0]:.1f} with 20% of "
        f"it; a finished network,\n  pruned to 20% and its norm statistics taken anew, "
        f"{found[1]:.1f}."
    )


def _recipe(methods: Methods) -> str:
    names = ("prunnet-published", "joint", "prunnet-default")
    if not (found := _at_20(methods, *names)):
        return ""
    texts = ", ".join(f"`{n}` {value:.1f}" for n, value in zip(names, found, strict=True))
    return f"**The recipe.** 20% in the dense gallery: {texts}."


def _channel(methods: Methods) -> str:
    if "prunnet-channel" not in methods:
        return ""
    runs = methods["prunnet-channel"]
    kept = runs.mean(0.2, 1.0) / runs.mean(1.0, 1.0)
    return (
        f'**Channels are faster, at a price.** At 20% granularity "channel" has '
        f"{runs.share(0.2, 'macs'):.2f} of the MACs and {runs.member(0.2, 'latency'):.2f}\n"
        f"  of the latency, and finds {kept:.3f} of what its dense network finds."
    )


def _cost(methods: Methods) -> str:
    if not {"prunnet-default", "independent"} <= set(methods):
        return ""
    ours, five = methods["prunnet-default"].cost, methods["independent"].cost
    return (
        f"**One training for all sizes costs {ours:.1f} dense trainings**, five networks of the "
        f"same sizes {five:.1f}.\n  Those are compatible with nothing, and no sixth size comes of "
        "them."
    )


def _place(methods: Methods) -> str:
    shared = [name for name in METHODS if name in methods and name not in SELF_ONLY]
    rivals = sorted((n for n in shared if n not in OURS), key=lambda n: -methods[n].mean(0.2, 1.0))
    if not rivals or "prunnet-default" not in methods:
        return ""
    best, ours = methods[rivals[0]], methods["prunnet-default"]
    return (
        f"**Where the default stands.** 20% in the dense gallery: {spread(ours.cell(0.2, 1.0))}. "
        f"The best of\n  {len(rivals)} other methods, `{rivals[0]}`: "
        f"{spread(best.cell(0.2, 1.0))}."
    )


FINDINGS: tuple[Callable[[Methods], str], ...] = (
    _norms, _pruning, _recipe, _channel, _cost, _place,
)  # fmt: skip
"""In the order in which they are told; each is empty where its results are missing."""
