"""Every loss of pytorch-metric-learning and of ours; writes docs/losses.md, where each works.

.venv/bin/python tests/loss_table.py
"""

from __future__ import annotations

import warnings
from pathlib import Path

from pytorch_metric_learning import losses
from torch import nn

from prunnet_pml import losses as ours
from prunnet_pml.evaluation import write_text
from prunnet_pml.losses.spaces import takes_references, why_not

PAGE = Path(__file__).parent.parent / "docs" / "losses.md"
SPACES = ("logit", "embedding", "both")
CLASSES, DIM = 3, 4
BASES = {losses.BaseMetricLossFunction, losses.GenericPairLoss}
CLASSIFIER = {"num_classes": CLASSES, "embedding_size": DIM}
ARGUMENTS = {
    "ArcFaceLoss": CLASSIFIER,
    "CosFaceLoss": CLASSIFIER,
    "EvidentialLoss": CLASSIFIER,
    "InfluenceLoss": {"classifier": nn.Linear(DIM, CLASSES)},
    "LargeMarginSoftmaxLoss": CLASSIFIER,
    "ManifoldLoss": {"l": DIM, "K": CLASSES},
    "NormalizedSoftmaxLoss": CLASSIFIER,
    "P2SGradLoss": {"descriptors_dim": DIM, "num_classes": CLASSES},
    "ProxyAnchorLoss": CLASSIFIER,
    "ProxyNCALoss": CLASSIFIER,
    "RankedListLoss": {"margin": 0.4, "Tn": 1},
    "SoftTripleLoss": CLASSIFIER,
    "SoftmaxLoss": CLASSIFIER,
    "SphereFaceLoss": CLASSIFIER,
    "SubCenterArcFaceLoss": CLASSIFIER,
}
WITHOUT_LABELS = ("ManifoldLoss", "VICRegLoss")
PML = sorted(
    name
    for name, kind in vars(losses).items()
    if isinstance(kind, type)
    and issubclass(kind, losses.BaseMetricLossFunction)
    and kind not in BASES
)
OURS = [name for name in ours.__all__ if name != "CompatibleLoss"]
OPTIONS = {"MarginLoss(learn_beta=True)": ("MarginLoss", {"learn_beta": True})}
"""Arguments that change where a loss works."""


def build(name: str) -> nn.Module:
    """A loss of three classes in four dimensions."""
    kind, arguments = OPTIONS.get(name, (name, ARGUMENTS.get(name, {})))
    with warnings.catch_warnings():  # SciPy gets a tensor from LargeMarginSoftmaxLoss
        warnings.filterwarnings("ignore", "__array_wrap__", DeprecationWarning)
        loss: nn.Module = (getattr(losses, kind, None) or getattr(ours, kind))(**arguments)
    return loss


def page() -> str:
    """The page, as it should be for the losses that are there."""
    labelled = [name for name in PML if name not in WITHOUT_LABELS]
    rows = sorted([*PML, *OPTIONS])
    return (
        "# Losses inside of a CompatibleLoss\n\n"
        "`CompatibleLoss(loss, model, space)` makes the loss of every pass. The dense pass is the "
        "loss itself and\nalone moves its parameters. A subnetwork's pass compares it with the "
        "dense network:\n\n"
        '- `space="logit"`: by the class weights that both share.\n'
        '- `space="embedding"`: by the dense network\'s embeddings of the same batch, either as '
        "references (PML's\n  `ref_emb`), or, where a loss takes none, as further images in the "
        "batch of the loss. The same image at\n  both capacities is a positive pair.\n"
        '- `space="both"`: the sum of the two.\n\n'
        "To that come `alignment`, by which an embedding is drawn to the dense network's of the "
        "same image, and\n`contrast`, a supervised contrastive loss between a subnetwork's "
        "embeddings and the dense network's, in which the\nsame image counts as much as all others "
        'of its class. Contrast is 0 unless it is asked for in the spaces\n`"embedding"` and '
        '`"both"`, where the loss itself compares embeddings.\n\n'
        "Where a space does not fit, the constructor raises a `ValueError` that says why. Tuples "
        "of any miner pass\nthrough; those of `CompatibilityMiner(model)` are found across "
        "capacities.\n\n"
        "| wrapper of PML | which way round |\n"
        "| --- | --- |\n"
        "| `MultipleLosses` | `MultipleLosses([CompatibleLoss(a, model), CompatibleLoss(b, model, "
        '"embedding", alignment=0)], miners, weights)` |\n'
        "| `CrossBatchMemory` | `CompatibleLoss(CrossBatchMemory(loss, dim), model, "
        '"embedding")`: it holds dense embeddings alone |\n'
        "| `DistributedLossWrapper` | `CompatibleLoss(DistributedLossWrapper(loss), model)` |\n"
        "| `SelfSupervisedLoss` | `CompatibleLoss(SelfSupervisedLoss(loss), model, "
        '"embedding")`, called with two views |\n\n'
        f"## pytorch-metric-learning\n\n{len(labelled)} take labels, {' and '.join(WITHOUT_LABELS)}"
        f" don't.\n\n{_table(rows)}\n"
        "## prunnet_pml.losses\n\n"
        f"{_table(OURS)}\n"
        "Written by `tests/loss_table.py`, checked by `tests/losses/test_loss_table.py`.\n"
    )


def _table(names: list[str]) -> str:
    lines = ["| loss | spaces | compares by | why not elsewhere |", "| --- | --- | --- | --- |"]
    lines += [_row(name) for name in names]
    return "\n".join(lines) + "\n"


def _row(name: str) -> str:
    loss = build(name)
    refused = {space: why_not(loss, space) for space in SPACES}
    fitting = [space for space, reason in refused.items() if reason is None]
    ways = []
    if "logit" in fitting:
        ways.append("class weights")
    if "embedding" in fitting:
        ways.append("references" if takes_references(loss) else "one batch")
    reasons = [f"{space}: {refused[space]}" for space in SPACES[:2] if refused[space]]
    cells = (f"`{name}`", ", ".join(fitting) or "none", ", ".join(ways), "; ".join(reasons))
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    write_text(PAGE, page())
