"""Sentences that say what was found on a task, each made of the results that it speaks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drawings.curves import SELF_ONLY
from methods import METHODS
from pages.budget_findings import BUDGET_FINDINGS
from pages.comparing import Methods, at_20, compared, dense_and_20, seeds_of
from pages.rivals import ALL_CAPACITIES, FLOOR, NO_RIVALS
from study_results import Runs, on_common_seeds

_HALF_A_POINT = 0.5


def _floor(methods: Methods) -> str:
    if not (found := compared(methods, FLOOR, "independent")):
        return ""
    before, after = (f"{runs.mean(1.0, 1.0):.1f}" for runs in found)
    return (
        f"**What there is to learn.** The dense network finds {before} before its first step and "
        f"{after} after the last,\n  trained alone ({seeds_of(found[0])})."
    )


def _norms(methods: Methods) -> str:
    if not (found := compared(methods, "norm-statistics=own", "norm-statistics=dense")):
        return ""
    own, of_dense = at_20(found)
    return (
        f"**Norm statistics per capacity.** With its own, 20% of the network finds {own} in the "
        "dense gallery\n  (all capacities in every step); the same weights read with the dense "
        f"network's statistics\n  find {of_dense} ({seeds_of(found[0])})."
    )


def _exact(methods: Methods) -> str:
    if not (found := compared(methods, ALL_CAPACITIES, "norm-statistics=own")):
        return ""
    exact, running = map(dense_and_20, found)
    at_30, interpolated = (f"{runs.mean(0.3, 1.0):.1f}" for runs in found)
    neighbours = " and ".join(f"{found[0].mean(c, 1.0):.1f}" for c in (0.2, 0.4))
    return (
        "**Exact norm statistics, once after training.** With all capacities in every step the "
        f"dense network and 20%\n  of it find {exact}; with the running averages of training "
        f"{running}. 30% took no part in\n  training: it finds {at_30}, beside {neighbours}\n"
        f"  of 20% and 40%; interpolated between their averages {interpolated} "
        f"({seeds_of(found[0])})."
    )


def _depthwise(methods: Methods) -> str:
    names = ("rows=whole-tensors", "depthwise-convolutions=scored")  # conflicts taken out alike
    if not (found := compared(methods, *names)):
        return ""
    whole, pruned = (
        f"{runs.mean(0.2, 1.0):.1f} with 20%, {runs.mean(0.4, 1.0):.1f} with 40%" for runs in found
    )
    shares = [f"{runs.share(0.2, 'nonzero'):.3f}" for runs in found]
    return (
        f"**Depthwise convolutions stay whole.** With them whole the network finds {whole};\n  "
        f"with their filters pruned as all else is, {pruned} ({seeds_of(found[0])}).\n  At 20% it "
        f"keeps {shares[0]} of all parameters in place of {shares[1]}. (Conflicts are taken out of "
        "whole tensors in both.)"
    )


def _pruning(methods: Methods) -> str:
    if not (found := compared(methods, "prunnet-default", "magnitude-pruning")):
        return ""
    trained, pruned = at_20(found)
    return (
        f"**Training the capacities at all.** A prunable network finds {trained} with 20% of it; "
        "a finished network,\n  pruned to 20% and its norm statistics taken anew, "
        f"{pruned} ({seeds_of(found[0])})."
    )


def _kept(methods: Methods) -> str:
    if "prunnet-default" not in methods:
        return ""
    runs = methods["prunnet-default"]
    at_20, dense = runs.mean(0.2, 1.0), runs.mean(1.0, 1.0)
    return (
        f"**What a small size loses.** In the dense gallery 20% finds {at_20:.1f}, "
        f"{at_20 / dense:.3f} of what the dense network\n  finds itself ({seeds_of(runs)})."
    )


def _recipe(methods: Methods) -> str:
    names = ("prunnet-published", "joint", ALL_CAPACITIES, "prunnet-default")
    if not (found := compared(methods, *names)):
        return ""
    texts = ", ".join(f"`{n}` {at_20}" for n, at_20 in zip(names, at_20(found), strict=True))
    return f"**The recipe.** 20% in the dense gallery: {texts} ({seeds_of(found[0])})."


def _contrast(methods: Methods) -> str:
    if not (found := compared(methods, ALL_CAPACITIES, "contrast=0")):
        return ""
    ours, without = map(dense_and_20, found)
    return (
        "**Contrast against a batch, or alignment alone.** With all capacities in every step and a "
        f"contrast of 1\n  the dense network and 20% of it find {ours}; drawn to the dense "
        f"network's embedding of\n  the same image alone, {without} ({seeds_of(found[0])})."
    )


def _positives(methods: Methods) -> str:
    if not (found := compared(methods, ALL_CAPACITIES, "positives-of-the-contrast=class")):
        return ""
    ours, alike = map(dense_and_20, found)
    return (
        "**Half of the contrast is the same image.** With all capacities in every step the dense "
        f"network and 20%\n  of it find {ours}; where all images of its class count alike, as in "
        f"SupCon, {alike} ({seeds_of(found[0])})."
    )


def _conflicts(methods: Methods) -> str:
    if not (found := compared(methods, ALL_CAPACITIES, "projection=none")):
        return ""
    ours, summed = map(dense_and_20, found)
    return (
        "**What it is worth to take out conflicts.** With all capacities in every step the dense "
        f"network and 20%\n  of it find {ours}; with the plain sum of all gradients {summed} "
        f"({seeds_of(found[0])})."
    )


def _alpha(methods: Methods) -> str:
    found = compared(methods, "alpha=1", ALL_CAPACITIES)
    if not found or len(found[0].seeds) == 1:
        return ""
    pairs = zip(*(runs.cell(0.2, 1.0) for runs in found), strict=True)
    leads = ", ".join(f"{changed - ours:+.1f}" for changed, ours in pairs)
    return (
        "**One seed says little.** With all capacities in every step and alpha 1 in place of 0.5 "
        f"(a gradient counts\n  less, the more of it was a conflict) 20% gains or loses, seed by "
        f"seed: {leads} "
        f"({seeds_of(found[0])})."
    )


def _channel(methods: Methods) -> str:
    if "prunnet-channel" not in methods:
        return ""
    runs = methods["prunnet-channel"]
    kept = runs.mean(0.2, 1.0) / runs.mean(1.0, 1.0)
    return (
        f'**Channels are faster, at a price.** At 20% granularity "channel" has '
        f"{runs.share(0.2, 'macs'):.2f} of the MACs and {runs.member(0.2, 'latency'):.2f}\n"
        f"  of the latency, and finds {kept:.3f} of what its dense network finds "
        f"({seeds_of(runs)})."
    )


def _teacher(methods: Methods) -> str:
    if not (found := compared(methods, "independent", "bct-per-size", "prunnet-default")):
        return ""
    alone, taught, ours = (f"{runs.mean(0.6, 0.6):.1f}" for runs in found)
    return (
        f"**A trained teacher (BCT), or training together.** A network of 60% finds {alone} in "
        f"its own gallery, and {taught} if\n  it is trained after the dense one, with that one's "
        f"class weights beside its own (`bct-per-size`);\n  as a part of the prunable network, "
        f"from the same first step, {ours} ({seeds_of(found[0])})."
    )


def _place(methods: Methods) -> str:
    names = [n for n in METHODS if n in methods and n not in (*SELF_ONLY, *NO_RIVALS)]
    ours = methods.get("prunnet-default", Runs([]))
    measured = [n for n in names if methods[n].seeds & ours.seeds]
    rivals = {name: on_common_seeds(methods[name], ours) for name in measured}
    if not rivals:
        return ""
    cells = [_closest(rivals, capacity) for capacity in (0.2, 0.4, 0.6, 0.8, 1.0)]
    behind = [text for text, lead in cells[1:] if lead > _HALF_A_POINT]
    return (
        "**Where the default stands** in the dense gallery, beside the best other method of "
        f"{len(rivals)}:\n  {cells[0][0]}."
        + (f"\n  Behind by more than half a point: {'; '.join(behind)}." if behind else "")
    )


def _closest(rivals: Mapping[str, list[Runs]], capacity: float) -> tuple[str, float]:
    """What the default finds beside the best other method, and that one's lead, as printed."""
    leads = {
        name: theirs.mean(capacity, 1.0) - ours.mean(capacity, 1.0)
        for name, (theirs, ours) in rivals.items()
    }
    best = max(leads, key=lambda name: leads[name])
    theirs, ours = (round(runs.mean(capacity, 1.0), 1) for runs in rivals[best])
    seeds = seeds_of(rivals[best][1])
    text = f"at {capacity:.0%} it finds {ours:.1f}, `{best}` {theirs:.1f} ({seeds})"
    return text, round(theirs - ours, 1)


FINDINGS: tuple[Callable[[Methods], str], ...] = (
    _floor, _kept, _norms, _exact, _depthwise, _pruning, _recipe, _contrast, _positives,
    _conflicts, _alpha, _channel, _teacher, *BUDGET_FINDINGS, _place,
)  # fmt: skip
"""In the order in which they are told; each is empty where its results are missing."""
