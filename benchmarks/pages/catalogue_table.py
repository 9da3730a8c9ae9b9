"""The section "Catalogue" of docs/hub.md, from what ``benchmarks/train_checkpoints.py`` left."""

from __future__ import annotations

import re

from prunnet_pml.hub import catalogue, describe

HEADING = "## Catalogue"
CAPACITIES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.2, 0.1)
"""Those shown; 50 and 10% are not among the trained ones."""


def with_catalogue(page: str) -> str:
    """The page with its section "Catalogue" as the data file and the evaluations are."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    return "".join(f"{_section()}\n" if part.startswith(HEADING) else part for part in parts)


def _section() -> str:
    heads = " | ".join(f"{c:.0%}{'' if c not in (0.5, 0.1) else ' *'}" for c in CAPACITIES)
    found = [
        f"| name | parameters | 20% | 100% | prunable | {heads} |",
        f"| --- |{' ---: |' * (4 + len(CAPACITIES))}",
    ]
    for entry in catalogue():
        matrix = describe(entry.name).evaluation
        cross = {} if matrix is None else matrix.cross_test("recall_at_1")
        sizes = (entry.sizes[0.2], entry.sizes[1.0], entry.prunable_size)
        cells = [f"`{entry.name}`", f"{entry.parameters / 1e6:.2f} M"]
        cells += [f"{size / 1e6:.2f} MB" for size in sizes]
        cells += [f"{100 * cross[c]:.1f}" for c in CAPACITIES]
        found.append(f"| {' | '.join(cells)} |")
    return (
        f"{HEADING}\n\nSmall checkpoints come with the package, so they need no network. `prunnet "
        "list` shows them; their names go\nwherever a repository's does, and are timm's, "
        "with a tag of their own:\n\n```python\nimport timm\n\n"
        "import prunnet_pml.registry.timm\nfrom prunnet_pml.hub import catalogue, from_pretrained"
        "\n\nprint([entry.name for entry in catalogue()])\n"
        'bundled = timm.create_model("prunnet_resnet18.glyphs", pretrained=True)   # prunable\n'
        'student = from_pretrained("prunnet_resnet18.glyphs", capacity=0.2)        # plain\n```'
        "\n\nBytes, and Recall@1 in percent of queries at each capacity in the dense network's "
        "gallery, on letters never seen in\ntraining. Those with a * are not among the trained "
        "capacities; all of these have exact norm statistics. MobileNetV2\nhas none of "
        "90, 70 and 30%, so as to stay small: calibrate it at these before you prune it to "
        "them, or they find next to\nnothing ([method.md](method.md)).\n\n"
        + "\n".join(found)
        + '\n\n`publish(name, "team/name")`, or `prunnet publish`, sends one to a repository '
        "of yours, with the dense\nnetwork for stock timm beside it, which the package leaves out. "
        "Trained and measured by\n`benchmarks/train_checkpoints.py NAME`; each folder in "
        "[hub/checkpoints](../hub/checkpoints) has its card.\n"
    )
