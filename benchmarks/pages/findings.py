"""Sentences that say what was found on a task, each made of the results that it speaks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drawings.curves import SELF_ONLY
from methods import METHODS
from pages.earlier import MARK, named
from study_results import EARLIER, Runs, on_common_seeds

Methods = Mapping[str, Runs]
OURS = ("prunnet-default", "prunnet-channel")
"""What the library advises."""
FLOOR, LONGER = "no-training", "dense-longer"
FEWER_PASSES, OWN_BATCHES = "prunnet-drawn-longer", "prunnet-own-batches"
JOINT_OWN_BATCHES = "joint-own-batches"
NO_RIVALS = (*OURS, FLOOR, LONGER, FEWER_PASSES, OWN_BATCHES, JOINT_OWN_BATCHES)
"""What the default is not compared with: where all start, what has more steps or images."""

_HALF_A_POINT = 0.5


def _compared(methods: Methods, *names: str) -> list[Runs]:
    """The runs of the seeds that all of them have; none if there is no such seed.

    Beside a variant of the default with the earlier contrast stands the default that had it.
    """
    if EARLIER in methods and any(methods[name].is_earlier for name in names if name in methods):
        names = tuple(EARLIER if name == "prunnet-default" else name for name in names)
    if not set(names) <= set(methods):
        return []
    found = on_common_seeds(*(methods[name] for name in names))
    return found if found[0].seeds else []


def _at_20(found: list[Runs]) -> list[str]:
    """What each finds with 20% in the dense gallery."""
    return [f"{runs.mean(0.2, 1.0):.1f}" for runs in found]


def _dense_and_20(runs: Runs) -> str:
    """What the dense network and 20% of it find in the dense gallery."""
    return " and ".join(f"{runs.mean(capacity, 1.0):.1f}" for capacity in (1.0, 0.2))


def _seeds(runs: Runs) -> str:
    count = len(runs.seeds)
    earlier = ", the earlier contrast" if runs.has_earlier_contrast else ""
    return f"{count} {'seed' if count == 1 else 'seeds'}{earlier}"


def _floor(methods: Methods) -> str:
    if not (found := _compared(methods, FLOOR, "independent")):
        return ""
    before, after = (f"{runs.mean(1.0, 1.0):.1f}" for runs in found)
    return (
        f"**What there is to learn.** The dense network finds {before} before its first step and "
        f"{after} after the last,\n  trained alone ({_seeds(found[0])})."
    )


def _norms(methods: Methods) -> str:
    if not (found := _compared(methods, "norm-statistics=own", "norm-statistics=dense")):
        return ""
    own, of_dense = _at_20(found)
    return (
        f"**Norm statistics per capacity.** With its own, 20% of the network finds {own} in the "
        "dense gallery;\n  the same weights read with the dense network's statistics find "
        f"{of_dense} ({_seeds(found[0])})."
    )


def _exact(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", "norm-statistics=own")):
        return ""
    exact, running = map(_dense_and_20, found)
    at_30, interpolated = (f"{runs.mean(0.3, 1.0):.1f}" for runs in found)
    neighbours = " and ".join(f"{found[0].mean(c, 1.0):.1f}" for c in (0.2, 0.4))
    return (
        "**Exact norm statistics, once after training.** The dense network and 20% of it find "
        f"{exact};\n  with the running averages of training {running}. 30% took no part in "
        f"training: it finds {at_30}, beside {neighbours}\n  of 20% and 40%; interpolated "
        f"between their averages {interpolated} ({_seeds(found[0])})."
    )


def _depthwise(methods: Methods) -> str:
    names = ("rows=whole-tensors", "depthwise-convolutions=scored")  # conflicts taken out alike
    if not (found := _compared(methods, *names)):
        return ""
    whole, pruned = (
        f"{runs.mean(0.2, 1.0):.1f} with 20%, {runs.mean(0.4, 1.0):.1f} with 40%" for runs in found
    )
    shares = [f"{runs.share(0.2, 'nonzero'):.3f}" for runs in found]
    return (
        f"**Depthwise convolutions stay whole.** With them whole the network finds {whole};\n  "
        f"with their filters pruned as all else is, {pruned} ({_seeds(found[0])}).\n  At 20% it "
        f"keeps {shares[0]} of all parameters in place of {shares[1]}. (Conflicts are taken out of "
        "whole tensors in both.)"
    )


def _pruning(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", "magnitude-pruning")):
        return ""
    trained, pruned = _at_20(found)
    return (
        f"**Training the capacities at all.** A prunable network finds {trained} with 20% of it; "
        "a finished network,\n  pruned to 20% and its norm statistics taken anew, "
        f"{pruned} ({_seeds(found[0])})."
    )


def _kept(methods: Methods) -> str:
    if "prunnet-default" not in methods:
        return ""
    runs = methods["prunnet-default"]
    at_20, dense = runs.mean(0.2, 1.0), runs.mean(1.0, 1.0)
    return (
        f"**What a small size loses.** In the dense gallery 20% finds {at_20:.1f}, "
        f"{at_20 / dense:.3f} of what the dense network\n  finds itself ({_seeds(runs)})."
    )


def _recipe(methods: Methods) -> str:
    names = ("prunnet-published", "joint", "prunnet-default")
    if not (found := _compared(methods, *names)):
        return ""
    texts = ", ".join(f"`{n}` {at_20}" for n, at_20 in zip(names, _at_20(found), strict=True))
    return f"**The recipe.** 20% in the dense gallery: {texts} ({_seeds(found[0])})."


def _contrast(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", "contrast=0")):
        return ""
    ours, without = ([f"{runs.mean(c, 1.0):.1f}" for c in (1.0, 0.2)] for runs in found)
    return (
        f"**Contrast against a batch, or alignment alone.** With its contrast the default finds "
        f"{ours[0]} with the dense network\n  and {ours[1]} with 20% of it; drawn to the dense "
        f"network's embedding of the same image alone, {without[0]} and {without[1]} "
        f"({_seeds(found[0])})."
    )


def _positives(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", EARLIER)):
        return ""
    ours, alike = map(_dense_and_20, found)
    return (
        "**Half of the contrast is the same image.** The dense network and 20% of it find "
        f"{ours};\n  where all images of its class count alike, as in SupCon, {alike} "
        f"({_seeds(found[0])})."
    )


def _conflicts(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", "projection=none")):
        return ""
    ours, summed = map(_dense_and_20, found)
    return (
        "**What it is worth to take out conflicts.** The dense network and 20% of it find "
        f"{ours};\n  with the plain sum of all gradients {summed} ({_seeds(found[0])})."
    )


def _alpha(methods: Methods) -> str:
    found = _compared(methods, "alpha=1", "prunnet-default")
    if not found or len(found[0].seeds) == 1:
        return ""
    pairs = zip(*(runs.cell(0.2, 1.0) for runs in found), strict=True)
    leads = ", ".join(f"{changed - ours:+.1f}" for changed, ours in pairs)
    return (
        "**One seed says little.** With alpha 1 in place of 0.5 (a gradient counts less, the more "
        f"of it was a conflict)\n  20% gains or loses, seed by seed: {leads} "
        f"({_seeds(found[0])})."
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
        f"({_seeds(runs)})."
    )


def _teacher(methods: Methods) -> str:
    if not (found := _compared(methods, "independent", "bct-per-size", "prunnet-default")):
        return ""
    alone, taught, ours = (f"{runs.mean(0.6, 0.6):.1f}" for runs in found)
    return (
        f"**A trained teacher (BCT), or training together.** A network of 60% finds {alone} in "
        f"its own gallery, and {taught} if\n  it is trained after the dense one, with that one's "
        f"class weights beside its own (`bct-per-size`);\n  as a part of the prunable network, "
        f"from the same first step, {ours} ({_seeds(found[0])})."
    )


def _cost(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", "independent")):
        return ""
    ours, five = (runs.cost for runs in found)
    return (
        f"**One training for all sizes costs {ours:.1f} dense trainings**, five networks of the "
        f"same sizes {five:.1f}\n  ({_seeds(found[0])}). Those are compatible with nothing, and no "
        "sixth size comes of them."
    )


def _longer(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", LONGER)):
        return ""
    ours, alone = (f"{runs.mean(1.0, 1.0):.1f} at a cost of {runs.cost:.1f}" for runs in found)
    return (
        f"**The same computing for one size.** The dense network of the family finds {ours};\n  "
        f"a dense network alone, in five times the steps, {alone} ({_seeds(found[0])})."
    )


def _drawn(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", FEWER_PASSES)):
        return ""
    ours, drawn = (f"{_dense_and_20(runs)} at a cost of {runs.cost:.1f}" for runs in found)
    return (
        "**All capacities in every step, or one of them in more steps.** The dense network and "
        f"20% of it find\n  {ours};\n  with one subnetwork drawn for each of 2.5 times the steps, "
        f"as many passes, {drawn} ({_seeds(found[0])})."
    )


def _own_batches(methods: Methods) -> str:
    if not (found := _compared(methods, "prunnet-default", OWN_BATCHES)):
        return ""
    ours, own = (f"{_dense_and_20(runs)} at a cost of {runs.cost:.1f}" for runs in found)
    text = (
        "**One batch for all capacities, or one for each.** In as many steps the dense network and "
        f"20% of it find\n  {ours};\n  with another batch for each capacity of a step, so five "
        f"times the images, {own} ({_seeds(found[0])})."
    )
    if both := _compared(methods, "joint", JOINT_OWN_BATCHES, OWN_BATCHES):
        joint, joint_own, own = map(_dense_and_20, both)
        text += (
            f"\n  Plain joint training gains by them, too: from {joint} to {joint_own}, beside "
            f"{own} ({_seeds(both[0])})."
        )
    return text


def _place(methods: Methods) -> str:
    names = [n for n in METHODS if n in methods and n not in (*SELF_ONLY, *NO_RIVALS)]
    ours = methods.get("prunnet-default", Runs([]))
    measured = [n for n in names if methods[n].seeds & ours.seeds]
    rivals = {name: on_common_seeds(methods[name], ours) for name in measured}
    if not rivals:
        return ""
    cells = [_closest(rivals, capacity) for capacity in (0.2, 0.4, 0.6, 0.8)]
    behind = [text for text, lead in cells[1:] if lead > _HALF_A_POINT]
    text = (
        "**Where the default stands** in the dense gallery, beside the best other method of "
        f"{len(rivals)}:\n  {cells[0][0]}."
        + (f"\n  Behind by more than half a point: {'; '.join(behind)}." if behind else "")
    )
    return text + (f" ({MARK} with the earlier contrast)" if MARK in text else "")


def _closest(rivals: Mapping[str, list[Runs]], capacity: float) -> tuple[str, float]:
    """What the default finds beside the best other method, and how far that one is ahead."""
    leads = {
        name: theirs.mean(capacity, 1.0) - ours.mean(capacity, 1.0)
        for name, (theirs, ours) in rivals.items()
    }
    best = max(leads, key=lambda name: leads[name])
    theirs, ours = rivals[best]
    text = (
        f"at {capacity:.0%} it finds {ours.mean(capacity, 1.0):.1f}, {named(best, theirs, ours)} "
        f"{theirs.mean(capacity, 1.0):.1f} ({_seeds(ours)})"
    )
    return text, leads[best]


FINDINGS: tuple[Callable[[Methods], str], ...] = (
    _floor, _kept, _norms, _exact, _depthwise, _pruning, _recipe, _contrast, _positives,
    _conflicts, _alpha, _channel, _teacher, _cost, _longer, _drawn, _own_batches, _place,
)  # fmt: skip
"""In the order in which they are told; each is empty where its results are missing."""
