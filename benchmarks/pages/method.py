"""docs/method.md and docs/targets.md: what was measured of the methods, between marks by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from drawings.picture import Picture
from methods import METHODS
from pages.ablations_table import ablations_table
from pages.again_table import again_table
from pages.findings import FINDINGS
from pages.marks import filled
from pages.method_pictures import pictures_of
from pages.methods_table import methods_table
from pages.not_yet import NOT_YET
from pages.numbers import table
from pages.rivals import ALL_CAPACITIES, NO_RIVALS
from pages.sizes_table import sizes_table
from pages.targets import GROUPS, how_many_are_met, targets_table
from pages.untrained_table import untrained_table
from study_results import MAP, Runs

Study = Mapping[str, Mapping[str, Runs]]

OTHERS = set(METHODS) - {*NO_RIVALS}
TASKS = {
    "glyphs": "Glyphs",
    "glyphs-longer": "Glyphs, five times the steps",
    "fashion-mnist": "Fashion-MNIST",
    "fashion-mnist-longer": "Fashion-MNIST, five times the steps",
    "glyphs-mobilenet": "Glyphs, MobileNetV2",
    "glyphs-mobilenet-longer": "Glyphs, MobileNetV2, twice the steps",
    "glyphs-resnet18": "Glyphs, ResNet-18 of full width",
    "glyphs-vit": "Glyphs, ViT-S",
}


def with_study(page: str, study: Study, *again: Study) -> str:
    """A page with the results that there are between its marks.

    Args:
        page: It has marks where they go.
        study: All results.
        *again: Those of runs that were made once more, a study for each time.

    Raises:
        ValueError: If there are results of a task without a title, or marks of no task.
    """
    if untitled := {*study, *itertools.chain(*again)} - set(TASKS):
        raise ValueError(f"`TASKS` should have a title for every task. Found none of {untitled}.")
    blocks = {
        "methods": "".join(f"- `{name}`: {method.summary}\n" for name, method in METHODS.items()),
        "findings": _findings(study),
        **{data: _task(data, study.get(data, {})) for data in TASKS},
        "untrained": _by_task(study, untrained_table),
        "speed": _by_task(study, sizes_table) + _pictures(study, "speed"),
        "ablations": _by_task(study, partial(ablations_table, base=ALL_CAPACITIES)),
        "default-ablations": _by_task(study, partial(ablations_table, base="prunnet-default")),
        "channel-ablations": _by_task(study, partial(ablations_table, base="prunnet-channel")),
        "again": _again(study, again),  # refuses what repeats no run
        "met": _met(study),
        "targets": _by_task(study, partial(targets_table, others=OTHERS)),
        "targets-map": _by_task(_by(MAP, study), partial(targets_table, others=OTHERS)),
    }
    return filled(page, blocks)


def method_pictures(study: Study) -> dict[str, Picture]:
    """Its pictures."""
    return {
        name: picture
        for data in TASKS
        for name, picture in pictures_of(data, study.get(data, {})).items()
    }


def _findings(study: Study) -> str:
    lists = {data: _found(study[data]) for data in TASKS if data in study}
    found = [f"{TASKS[data]}:\n\n{bullets}" for data, bullets in lists.items() if bullets]
    return "\n".join(found) or NOT_YET


def _found(methods: Mapping[str, Runs]) -> str:
    texts = (finding(methods) for finding in FINDINGS)
    return "".join(f"- {text}\n" for text in texts if text)


def _task(data: str, methods: Mapping[str, Runs]) -> str:
    if not set(methods) & set(METHODS):
        return NOT_YET
    recipe = next(iter(methods.values())).documents[0]["recipe"]
    devices = " and ".join(sorted(set().union(*(runs.devices for runs in methods.values()))))
    about = (
        f"Backbone {recipe['backbone']}; {recipe['steps']} steps of {recipe['batch_size']} images "
        f"of {recipe['image_size']} px" + (f" on {devices}." if devices != "cpu" else ".")
    )
    shown = [n for n in METHODS if n in methods] if "prunnet-default" in methods else methods
    pictures = (_pictures({data: methods}, kind) for kind in ("capacity", "matrices"))
    return f"{about}\n\n{methods_table(methods, shown)}{''.join(pictures)}"


def _by(metric: str, study: Study) -> Study:
    return {
        data: {name: runs.by(metric) for name, runs in methods.items()}
        for data, methods in study.items()
    }


def _by_task(study: Study, table_of: Callable[[Mapping[str, Runs]], str]) -> str:
    """The tables of all tasks that have rows, one below the other."""
    tables = {data: table_of(study[data]) for data in TASKS if data in study}
    found = [f"{TASKS[data]}:\n\n{rows}" for data, rows in tables.items() if rows.count("\n") > 2]
    return "\n".join(found) or NOT_YET


def _again(study: Study, again: Sequence[Study]) -> str:
    tables = {
        data: again_table(study.get(data, {}), *(once.get(data, {}) for once in again))
        for data in TASKS
        if any(data in once for once in again)
    }
    return "\n".join(f"{TASKS[data]}:\n\n{rows}" for data, rows in tables.items()) or NOT_YET


def _met(study: Study) -> str:
    """Of each task how many targets are met, in both metrics."""
    rows = [_met_row(title, study.get(data, {})) for data, title in TASKS.items()]
    heads = [f"{group}, {metric}" for group in GROUPS for metric in ("Recall@1", "mAP@R")]
    rows = [row for row in rows if row]
    return table(["", "seeds", *heads], rows) if rows else NOT_YET


def _met_row(title: str, methods: Mapping[str, Runs]) -> list[str]:
    if "prunnet-default" not in methods:
        return []
    in_map = {name: runs.by(MAP) for name, runs in methods.items()}
    counts = [
        how_many_are_met(by, OTHERS, group) for group in GROUPS.values() for by in (methods, in_map)
    ]
    return [title, str(len(methods["prunnet-default"].seeds)), *counts]


def _pictures(study: Study, kind: str) -> str:
    titles = {
        "capacity": "Recall@1 in the dense gallery against the query's capacity",
        "matrices": "Recall@1 of every query capacity in the gallery of every capacity",
        "speed": "Recall@1 against multiplications and time",
    }
    return "".join(
        f"\n![{titles[kind]}, {TASKS[data]}]({name})\n"
        for data in TASKS
        for name in pictures_of(data, study.get(data, {}))
        if name.endswith(f"{kind}.png")
    )
