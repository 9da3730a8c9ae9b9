"""Sharing embedding passes between the processes of ``torch.distributed``.

Of all batches, process ``rank`` of ``world`` embeds every ``world``-th; afterwards all processes
hold all results, in the order that a single process would have found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest
from typing import Any, TypeVar

import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, SequentialSampler, Subset

_Item = TypeVar("_Item")
_MISSING = object()


def rank_and_world() -> tuple[int, int]:
    """This process's rank and the number of processes; ``(0, 1)`` without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def local_network(model: nn.Module) -> nn.Module:
    """The network inside a DDP wrapper, whose forward would wait for the other processes."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def share_of_dataset(data: Dataset[Any], batch_size: int) -> Dataset[Any]:
    """What this process reads of a dataset: every ``world``-th batch."""
    rank, world = rank_and_world()
    if world == 1:
        return data
    indices = range(len(data))  # type: ignore[arg-type]
    starts = indices[rank * batch_size :: world * batch_size]
    return Subset(data, [i for start in starts for i in indices[start : start + batch_size]])


def share_of_batches(batches: Iterable[_Item]) -> Iterable[_Item]:
    """Every ``world``-th batch.

    Raises:
        ValueError: If a loader may give every process another order, so that shares overlap.
    """
    rank, world = rank_and_world()
    if world == 1:
        return batches
    if isinstance(batches, DataLoader) and not isinstance(batches.sampler, SequentialSampler):
        raise ValueError(
            "`data` should be a dataset or a loader in order where several processes share it. "
            f"Found a loader with a {type(batches.sampler).__name__}."
        )
    return islice(iter(batches), rank, None, world)


def gather(own: Sequence[_Item]) -> list[_Item]:
    """What all processes found, batch by batch in the order of the data."""
    _, world = rank_and_world()
    if world == 1:
        return list(own)
    shares: list[Any] = [None] * world
    dist.all_gather_object(shares, list(own))
    interleaved = chain.from_iterable(zip_longest(*shares, fillvalue=_MISSING))
    return [item for item in interleaved if item is not _MISSING]
