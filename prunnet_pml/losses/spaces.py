"""Which spaces a loss of pytorch-metric-learning can compare capacities in."""

from __future__ import annotations

import copy
import inspect
from typing import Literal, TypeAlias

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from torch import Tensor, nn

Space: TypeAlias = Literal["logit", "embedding", "both"]

UNFIT = {
    losses.DynamicSoftMarginLoss: "PML fails at its second step, its histogram keeping the graph",
    losses.InstanceLoss: "its target for class c is the c-th image of the batch, of any class",
    losses.SmoothAPLoss: "PML computes it only for as many images per class as there are classes",
}
"""What no probe can find out: losses without class weights that can't be compared by."""

_EMBEDDINGS = torch.tensor([[1.0, 0.1], [0.9, -0.2], [0.2, 1.0], [-0.3, 0.8]])
_REFERENCES = _EMBEDDINGS.flip(1)
_LABELS = torch.tensor([0, 0, 1, 1])
_PAIRS = tuple(torch.tensor(indices) for indices in ([0, 2], [1, 3], [0, 2], [2, 0]))


def has_memory(loss: nn.Module) -> bool:
    """Whether a loss keeps embeddings of earlier batches, itself or inside of a wrapper."""
    return any(isinstance(module, losses.CrossBatchMemory) for module in loss.modules())


def why_not(loss: nn.Module, space: Space) -> str | None:
    """Why a loss can't compare capacities in a space, in a few words. None where it can."""
    if space != "embedding":
        if has_memory(loss):
            return "its memory would fill with subnetworks' embeddings"
        if next(loss.parameters(), None) is None:
            return "it has no class weights"
    return None if space == "logit" else _why_not_embedding(loss)


def _why_not_embedding(loss: nn.Module) -> str | None:
    if isinstance(loss, DistributedLossWrapper):
        return _why_not_embedding(loss.loss)
    if isinstance(loss, losses.CrossBatchMemory):
        return None
    if isinstance(loss, losses.MultipleLosses):
        return "put a CompatibleLoss around each loss inside of it"
    for kind, reason in UNFIT.items():
        if isinstance(loss, kind):
            return reason
    if takes_references(loss):
        return None
    if not isinstance(loss, losses.BaseMetricLossFunction):
        return "its forward has no `ref_emb`"
    if next(loss.parameters(), None) is not None:
        return "it compares with its class weights alone"
    return None  # it sees the references as part of the batch


def takes_references(loss: nn.Module) -> bool:
    """Whether the references (``ref_emb``) of a loss have a part in its value.

    Most losses of PML that take none raise an error, one ignores them. So a small batch goes
    through the loss's formula, before any reducer.
    """
    if isinstance(loss, DistributedLossWrapper):
        return takes_references(loss.loss)
    if not isinstance(loss, losses.BaseMetricLossFunction):
        parameters = inspect.signature(loss.forward).parameters.values()
        return any(p.name == "ref_emb" or p.kind == p.VAR_KEYWORD for p in parameters)
    for labels in (_LABELS, None):  # few want none
        references = _REFERENCES.clone().requires_grad_()
        try:
            value = _try(loss, labels, references=references)
        except Exception as error:  # of other shapes, say: PML refuses before it looks at those
            if "ref_emb is not supported" in str(error):
                return False
        else:
            [gradient] = torch.autograd.grad(value, references, allow_unused=True)
            return gradient is not None
    return True


def takes_pairs(loss: nn.Module) -> bool:
    """Whether a loss takes the pairs or triplets of a miner (``indices_tuple``)."""
    if isinstance(loss, DistributedLossWrapper):
        return takes_pairs(loss.loss)
    try:
        _try(loss, _LABELS, pairs=_PAIRS)
    except Exception as error:
        return "indices_tuple is not supported" not in str(error)
    return True


def _try(
    loss: losses.BaseMetricLossFunction,
    labels: Tensor | None,
    *,
    pairs: tuple[Tensor, ...] | None = None,
    references: Tensor | None = None,
) -> Tensor:
    """The sum of a loss's terms for a small batch. What it sets on itself stays in a copy."""
    embeddings = _EMBEDDINGS.clone().requires_grad_()
    compared = (embeddings, labels)  # PML knows by their identity that there are no references
    if references is not None:
        compared = (references, None if labels is None else labels.clone())
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        terms = copy.copy(loss).compute_loss(embeddings, labels, pairs, *compared)
    values = [torch.as_tensor(term["losses"]).sum() for term in terms.values()]
    return sum(values, embeddings.sum() * 0)
