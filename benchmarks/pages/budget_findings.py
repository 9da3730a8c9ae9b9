"""Sentences that say what computing, steps and images are worth, made of results on a task."""

from __future__ import annotations

from collections.abc import Callable

from methods.ablations import name_of
from pages.comparing import Methods, compared, dense_and_20, dense_and_20_at_cost, seeds_of
from pages.rivals import ALL_CAPACITIES, JOINT_DRAWN_LONGER, JOINT_OWN_BATCHES, LONGER, OWN_BATCHES
from pages.untrained_table import NONE_BETWEEN

OWN_BATCHES_DRAWN = name_of("batches of a step", "one for each", "prunnet-default")
BATCH_BEFORE = name_of("batches of a step", "the one before", "prunnet-default")
TEN_PERCENT_TOO = name_of("trained capacities", "10, 20, 40, 60, 80", "prunnet-default")


def _cost(methods: Methods) -> str:
    if not (found := compared(methods, "prunnet-default", "independent")):
        return ""
    ours, five = (runs.cost for runs in found)
    return (
        f"**One training for all sizes costs {ours:.1f} dense trainings**, five networks of the "
        f"same sizes {five:.1f}\n  ({seeds_of(found[0])}). Those are compatible with nothing, and "
        "no sixth size comes of them."
    )


def _longer(methods: Methods) -> str:
    if not (found := compared(methods, "prunnet-default", LONGER)):
        return ""
    ours, alone = (f"{runs.mean(1.0, 1.0):.1f} at a cost of {runs.cost:.1f}" for runs in found)
    return (
        f"**As many passes for one size.** The dense network of the family finds {ours};\n  "
        f"a dense network alone, in five times the steps, {alone} ({seeds_of(found[0])})."
    )


def _drawn(methods: Methods) -> str:
    if not (found := compared(methods, ALL_CAPACITIES, "prunnet-default")):
        return ""
    ours, drawn = map(dense_and_20_at_cost, found)
    text = (
        "**All capacities in every step, or one of them in more steps.** The dense network and "
        f"20% of it find\n  {ours};\n  with one subnetwork drawn for each of 2.5 times the steps, "
        f"as many passes, and a contrast of 3\n  {drawn} ({seeds_of(found[0])})."
    )
    if both := compared(methods, JOINT_DRAWN_LONGER, "prunnet-default"):
        joint, drawn = map(dense_and_20, both)
        text += (
            f"\n  Plain joint training of as many steps, with one drawn for each, finds {joint}, "
            f"beside {drawn} ({seeds_of(both[0])})."
        )
    return text


def _smaller(methods: Methods) -> str:
    if not (found := compared(methods, "prunnet-default", TEN_PERCENT_TOO)):
        return ""
    without, along = (
        " and ".join(f"{runs.mean(capacity, 1.0):.1f}" for capacity in (0.1, 0.2)) for runs in found
    )
    return (
        "**A smaller size, trained along.** In the dense gallery 10% and 20% of the network find "
        f"{without}, where 10%\n  takes no part in training; {along} where it does, drawn as the "
        f"others are, in as many passes ({seeds_of(found[0])})."
    )


def _between(methods: Methods) -> str:
    if not (found := compared(methods, "prunnet-default", NONE_BETWEEN)):
        return ""
    between, none = (
        ", ".join(f"{runs.mean(capacity, 1.0):.1f}" for capacity in (1.0, 0.4, 0.3, 0.2))
        for runs in found
    )
    return (
        "**Capacities between trained ones, drawn too.** In the dense gallery the dense network, "
        f"40%, 30% and 20% of it find\n  {between}, where half of the draws of 80%, 60% and 40% "
        "are of one between it and the next\n  lower; "
        f"{none} where none is ({seeds_of(found[0])})."
    )


def _own_batches(methods: Methods) -> str:
    if not (found := compared(methods, ALL_CAPACITIES, OWN_BATCHES)):
        return ""
    ours, own = map(dense_and_20_at_cost, found)
    text = (
        "**One batch for all capacities, or one for each.** In as many steps the dense network and "
        f"20% of it find\n  {ours};\n  with another batch for each capacity of a step, so five "
        f"times the images, {own} ({seeds_of(found[0])})."
    )
    if both := compared(methods, "joint", JOINT_OWN_BATCHES, OWN_BATCHES):
        joint, joint_own, own = map(dense_and_20, both)
        text += (
            f"\n  Plain joint training gains by them, too: from {joint} to {joint_own}, beside "
            f"{own} ({seeds_of(both[0])})."
        )
    if drawn := compared(methods, "prunnet-default", OWN_BATCHES_DRAWN):
        ours, own = map(dense_and_20_at_cost, drawn)
        text += (
            f"\n  With one subnetwork drawn for each of 2.5 times the steps: from {ours}\n  to "
            f"{own}, of twice the images ({seeds_of(drawn[0])})."
        )
    if lagging := compared(methods, "prunnet-default", BATCH_BEFORE):
        ours, before = map(dense_and_20, lagging)
        text += (
            "\n  With that subnetwork on the batch of the step before, for the same images and "
            f"passes: from {ours} to {before} ({seeds_of(lagging[0])})."
        )
    return text


BUDGET_FINDINGS: tuple[Callable[[Methods], str], ...] = (
    _cost, _longer, _drawn, _smaller, _between, _own_batches,
)  # fmt: skip
"""In the order in which they are told."""
