"""PML's samplers of a data set's labels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pytorch_metric_learning import samplers

from prunnet_pml.registry.mmengine.registries import DATA_SAMPLERS


def of_labels(sampler: Callable[..., Any]) -> Callable[..., Any]:
    """A sampler that takes what mmengine gives one: the data set, for its labels, and a seed."""

    @functools.wraps(sampler, updated=())
    def construct(dataset: Any, seed: int | None = None, **arguments: Any) -> Any:  # noqa: ANN401
        del seed  # PML draws from numpy, which the Runner and EpochSeedHook have seeded
        labels = getattr(dataset, "labels", None)
        if labels is None:
            found = type(dataset).__name__
            raise ValueError(f"`dataset` should have `labels` to sample by. Found {found}.")
        return sampler(labels, **arguments)

    return construct


for name in ("MPerClassSampler", "FixedSetOfTriplets"):
    DATA_SAMPLERS.register_module(name=name, module=of_labels(getattr(samplers, name)))


def hierarchical_sampler(sampler: Any, **arguments: Any) -> Any:  # noqa: ANN401
    """PML's ``HierarchicalSampler``, for ``batch_sampler=``: mmengine gives it a sampler."""
    return of_labels(samplers.HierarchicalSampler)(sampler.dataset, **arguments)


DATA_SAMPLERS.register_module(name="HierarchicalSampler", module=hierarchical_sampler)
