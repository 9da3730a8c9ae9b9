"""The page of a model card, section by section."""

from __future__ import annotations

from collections.abc import Mapping

from prunnet_pml.evaluation import METRICS, CompatibilityMatrix
from prunnet_pml.hub.layout import DENSE
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.record_names import percent

EVALUATION, MATRIX, CURVE = (
    "evaluation/matrix.json",
    "evaluation/matrix.png",
    "evaluation/curve.png",
)
"""What the card shows lies beside it, the numbers as JSON."""

PAPER = "[Learning Compatible Multi-Prize Subnetworks](https://arxiv.org/abs/2504.11879)"


def card_text(
    manifest: Manifest,
    architecture: str | None,
    name: str,
    matrix: CompatibilityMatrix | None,
    metric: str | None,
    license: str | None,
    data: str | None,
    recipe: str | Mapping[str, object] | None,
) -> str:
    """Returns the Markdown below the metadata; sections with nothing to say are left out."""
    sections = [
        _head(manifest, architecture, name),
        _use(manifest, name),
        _bytes(manifest),
        "" if matrix is None else _retrieval(manifest, matrix, str(metric), data),
        _training(data, recipe),
        _limits(manifest, license),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(manifest: Manifest, architecture: str | None, name: str) -> str:
    lowest = percent(min(manifest.capacities))
    network = f"`{architecture}`" if architecture else "network"
    kept = "hidden units" if manifest.units else "weights"
    return (
        f"# {name.rpartition('/')[2]}\n\n"
        f"A {network} that makes embeddings for image retrieval and can be pruned: a device keeps "
        f"{lowest} of its {kept}, say, and searches the gallery that the whole network has "
        f"indexed. No retraining, no second index. Trained by the method of {PAPER}, with "
        "prunnet_pml."
    )


def _use(manifest: Manifest, name: str) -> str:
    low = min(manifest.capacities)
    kept = (
        "`device` with fewer channels inside of its blocks"
        if manifest.units
        else "`device` with zeros in place of the weights that were left out"
    )
    text = f"""## Use

```python
from prunnet_pml.hub import from_pretrained

server = from_pretrained("{name}", capacity=1.0)   # the dense network indexes the gallery
device = from_pretrained("{name}", capacity={low})   # downloads {_mb(manifest.bytes_for(low))}
```

Both are plain networks, {kept}.
Without a capacity, `from_pretrained` returns the prunable network, to evaluate or to train on."""
    if DENSE in manifest.files:
        text += f"""

The dense network without prunnet_pml:

```python
import timm

server = timm.create_model("hf-hub:{name}", pretrained=True)
```"""
    return text


def _bytes(manifest: Manifest) -> str:
    rows, below = ["| capacity | download | from the one above |", "| ---: | ---: | ---: |"], 0
    for capacity in sorted(manifest.capacities):
        size = manifest.bytes_for(capacity)
        rows.append(f"| {percent(capacity)} | {_mb(size)} | {_mb(size - below) if below else ''} |")
        below = size
    return "## Bytes\n\n" + "\n".join(rows)


def _retrieval(
    manifest: Manifest, matrix: CompatibilityMatrix, metric: str, data: str | None
) -> str:
    label = METRICS.get(metric, metric)
    cross, own = matrix.cross_test(metric), matrix.self_test(metric)
    trained = matrix.trained_capacities
    owners = manifest.norm_owners
    marks = {
        c: ("" if trained is None or c in (1.0, *trained) else " *")
        + (" †" if owners and c not in owners else "")
        for c in cross
    }
    rows = [
        f"| {percent(c)}{marks[c]} "
        f"| {100 * cross[c]:.1f} | {f'{100 * own[c]:.1f}' if c in own else ''} |"
        for c in sorted(cross, reverse=True)
    ]
    where = f" on {data.rstrip('.')}" if data else ""
    meanings = {
        " *": "\\* not among the trained capacities",
        " †": "† with interpolated norm statistics, as it has none here: `prune` the prunable "
        "network with images as `calibration` for exact ones",
    }
    found = [text for mark, text in meanings.items() if any(mark in m for m in marks.values())]
    note = "".join(f"\n\n{text}" for text in found)
    table = "\n".join(
        ["| query capacity | dense gallery | own gallery |", "| ---: | ---: | ---: |", *rows]
    )
    return (
        f"## Retrieval\n\n{label}, in percent{where}.\n\n{table}{note}\n\n"
        f"![{label} over the query's capacity]({CURVE})\n\n"
        f"![{label} of every pair of query and gallery capacity]({MATRIX})\n\n"
        f"All metrics: [{EVALUATION}]({EVALUATION})."
    )


def _training(data: str | None, recipe: str | Mapping[str, object] | None) -> str:
    if isinstance(recipe, Mapping):
        recipe = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in recipe.items())
    parts = [f"Data: {data.rstrip('.')}." if data else "", recipe or ""]
    body = "\n\n".join(part for part in parts if part)
    return f"## Training\n\n{body}" if body else ""


def _limits(manifest: Manifest, license: str | None) -> str:
    licence = license or "not stated: ask the authors before you use it"
    lowest = percent(min(manifest.capacities))
    left_out = """are single weights. That saves bytes, not time: zeros are
  multiplied as other numbers are. Networks of granularity "channel" are faster."""
    if manifest.units:
        left_out = """are hidden units: channels inside of blocks, attention
  heads. It is smaller and faster by these; its embedding and residual stream stay whole."""
    return f"""## Limits

- Embeddings compare with those of the same space alone: `{manifest.space_id}`. Two checkpoints with
  the same name and different spaces don't go together.
- What is left out of the network {left_out}
- Below {lowest} nothing was saved apart: `prune` the prunable network, and measure first.
- Stored precision: {manifest.precision}. Licence: {licence}."""


def _mb(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size < 10e6 else f"{size / 1e6:.1f} MB"
