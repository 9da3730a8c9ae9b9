"""How the losses of pytorch-metric-learning compare a subnetwork with the dense network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from pytorch_metric_learning.losses import CrossBatchMemory
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from pytorch_metric_learning.utils.distributed import (
    DistributedLossWrapper,
    gather,
    gather_enqueue_mask,
)
from torch import Tensor, nn
from torch.func import functional_call

from prunnet_pml.losses.spaces import takes_pairs, takes_references

Pairs = tuple[Tensor, ...]
"""What a miner returns: indices of pairs (four tensors) or of triplets (three)."""


def comparison_of(loss: nn.Module) -> Callable[..., Any]:
    """How a loss that fits the embedding space compares there.

    Returns:
        A function of a subnetwork's embeddings ``[batch, dim]``, labels ``[batch]``, a miner's
        tuple, the dense network's embeddings ``[batch, dim]``, and the loss's further arguments.
    """
    distributed = isinstance(loss, DistributedLossWrapper)
    memory = loss.loss if distributed else loss
    if isinstance(memory, CrossBatchMemory):
        return partial(_with_memory_of_all if distributed else _with_memory, memory)
    if takes_references(loss):
        return partial(with_references, loss)
    return partial(_in_one_batch, loss, takes_pairs(loss))


def with_detached_weights(loss: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Calls a loss such that nothing reaches its parameters."""
    weights = {name: weight.detach() for name, weight in loss.named_parameters()}
    return functional_call(loss, weights, args, kwargs) if weights else loss(*args, **kwargs)


def with_references(
    loss: nn.Module,
    embeddings: Tensor,
    labels: Tensor | None,
    pairs: Pairs | None,
    dense: Tensor,
    **kwargs: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """The dense network's embeddings are the references, one's own image among them."""
    references = {"ref_emb": dense, "ref_labels": _other(labels), **kwargs}
    return with_detached_weights(loss, embeddings, labels, pairs, **references)


def _in_one_batch(
    loss: nn.Module,
    of_pairs: bool,
    embeddings: Tensor,
    labels: Tensor,
    pairs: Pairs | None,
    dense: Tensor,
    **kwargs: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """The dense network's embeddings are further images of the batch.

    A loss of pairs gets those across capacities; a loss of ranks takes all into account.
    """
    if pairs is None and of_pairs:
        pairs = lmu.get_all_pairs_indices(labels, _other(labels))
    if pairs is not None:
        pairs = c_f.shift_indices_tuple(pairs, len(embeddings))
    batch, batch_labels = torch.cat([embeddings, dense]), torch.cat([labels, labels])
    return with_detached_weights(loss, batch, batch_labels, pairs, **kwargs)


def _with_memory(
    memory: CrossBatchMemory,
    embeddings: Tensor,
    labels: Tensor,
    pairs: Pairs | None,
    _dense: Tensor,
    enqueue_mask: Tensor | None = None,
) -> Any:  # noqa: ANN401
    """The memory's embeddings are the references; the dense pass has added this batch to them."""
    labels = labels.to(embeddings.device)
    if enqueue_mask is not None:
        embeddings, labels = embeddings[~enqueue_mask], labels[~enqueue_mask]
    held = memory.memory_size if memory.has_been_filled else memory.queue_idx
    references = (memory.embedding_memory[:held], memory.label_memory[:held])
    if pairs is not None:  # those of this batch, wherever that lies in the memory
        place = memory.curr_batch_idx
        others = (1, 2) if len(pairs) == 3 else (1, 3)
        pairs = tuple(place[p] if i in others else p for i, p in enumerate(pairs))
    pairs = memory.create_indices_tuple(embeddings, labels, *references, pairs, False)
    return with_detached_weights(memory.loss, embeddings, labels, pairs, *references)


def _with_memory_of_all(
    memory: CrossBatchMemory,
    embeddings: Tensor,
    labels: Tensor,
    pairs: Pairs | None,
    dense: Tensor,
    enqueue_mask: Tensor | None = None,
) -> Any:  # noqa: ANN401
    """The same under ``DistributedLossWrapper``: the embeddings of all processes, and its scale."""
    processes = dist.get_world_size() if dist.is_initialized() else 1
    if processes == 1:
        return _with_memory(memory, embeddings, labels, pairs, dense, enqueue_mask)
    embeddings, labels, _ = gather(embeddings, labels)
    enqueue_mask = gather_enqueue_mask(enqueue_mask, embeddings.device)
    return processes * _with_memory(memory, embeddings, labels, pairs, dense, enqueue_mask)


def _other(labels: Tensor | None) -> Tensor | None:
    """The same labels as another object: else PML takes pairs ``(i, i)`` for self-comparisons.

    Here they are the same image at two capacities, the surest of all positives.
    """
    return None if labels is None else labels.detach()
