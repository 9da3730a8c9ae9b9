"""Calibration: exact norm statistics for any capacity, from a loader of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunnet_pml.masks import check_capacities
from prunnet_pml.network import capacity, get_capacity, trained_capacities
from prunnet_pml.norms import STATISTICS, CapacityNorm


def calibrate(
    model: nn.Module, loader: Iterable[Any], capacities: Iterable[float] | None = None
) -> None:
    """Replaces the norm statistics of some capacities by exact ones: the average over a loader.

    No gradient is taken, and every other state is untouched. An untrained capacity gets a set of
    its own, which goes into the state dict as the others do. No training changes it: after more of
    it, calibrate again.

    It is batches whose statistics are averaged, each by its share of the images: give batches as
    large as in training, or larger.

    Args:
        model: A prunable network.
        loader: Yields images, ``(images, ...)`` or mappings with ``images``; run once per capacity.
        capacities: In (0, 1]. Default: the dense network, every trained capacity, and whatever has
            a set from an earlier call.

    Raises:
        ValueError: If a capacity is out of range or comes twice, or the loader yields nothing. The
            statistics of the capacity it failed at are then as before.
    """
    get_capacity(model)  # refuses a plain network
    norms = [module for module in model.modules() if isinstance(module, CapacityNorm)]
    if capacities is None:
        owners = (capacity for norm in norms for capacity in norm.set_capacities)
        capacities = dict.fromkeys((1.0, *trained_capacities(model), *owners))
    chosen = check_capacities(capacities, dense=True)
    if not isinstance(loader, Iterable):
        raise ValueError(f"`loader` should yield images. Found {type(loader).__name__}.")
    if len(chosen) > 1 and isinstance(loader, Iterator):
        raise ValueError(
            f"`loader` should start anew for each of {len(chosen)} capacities. "
            f"Found an iterator: {type(loader).__name__}."
        )
    for value in chosen if norms else ():
        new = [norm for norm in norms if value not in (1.0, *norm.set_capacities)]
        with capacity(model, value):
            try:
                for norm in new:
                    norm.own_set(value)
                _estimate(model, norms, loader)
            except BaseException:
                for norm in new:
                    norm.drop_set(value)
                raise


def _estimate(model: nn.Module, norms: Sequence[CapacityNorm], batches: Iterable[Any]) -> None:
    """Replaces the current capacity's statistics by their cumulative average over the batches.

    Only the norms run in training mode, no gradient is taken, and whatever fails, modes and momenta
    are as before. (``torch.optim.swa_utils.update_bn`` would also turn on dropout, and have a last
    batch of two count as much as the others.)

    Raises:
        ValueError: If there is no batch, a batch holds no images, or statistics come out infinite
            or NaN. The statistics are then as before.
    """
    modes = {module: module.training for module in model.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    before = {norm: [norm._statistic(name).clone() for name in STATISTICS] for norm in norms}
    seen = dict.fromkeys(norms, 0)

    def weigh(norm: Any, inputs: tuple[Tensor, ...]) -> None:  # noqa: ANN401
        seen[norm] += inputs[0].numel()
        norm.momentum = inputs[0].numel() / max(seen[norm], 1)

    hooks = [norm.register_forward_pre_hook(weigh) for norm in norms]
    empty = True
    try:
        model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        device = next(model.parameters()).device
        with torch.no_grad():
            for batch in tqdm(batches, desc="calibrate", disable=None, leave=False):
                model(_images(batch).to(device))
                empty = False
        if empty:
            raise ValueError("`loader` should yield at least one batch. Found none.")
        if not all(norm._statistic(name).isfinite().all() for norm in norms for name in STATISTICS):
            raise ValueError("`loader` should yield finite images. Found NaN or infinite norms.")
        _restore({n: saved for n, saved in before.items() if not n.num_batches_tracked})  # unused
    except BaseException:
        _restore(before)
        raise
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, training in modes.items():
            module.training = training


def _restore(statistics: Mapping[CapacityNorm, list[Tensor]]) -> None:
    for norm, saved in statistics.items():
        for name, value in zip(STATISTICS, saved, strict=True):
            norm._statistic(name).copy_(value)


def _images(batch: Any) -> Tensor:  # noqa: ANN401
    """The images of a batch: the batch itself, its first element, or its entry ``images``."""
    images = batch
    if isinstance(batch, Mapping):
        images = batch.get("images")
    elif isinstance(batch, list | tuple):
        images = batch[0] if batch else None
    if isinstance(images, Tensor):
        return images
    raise ValueError(
        "`loader` should yield images, (images, ...) or a mapping with `images`. "
        f"Found {type(batch).__name__}."
    )
