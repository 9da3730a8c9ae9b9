"""Calibration: exact norm statistics for any capacity, from a loader of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunnet_pml.given_network import as_input
from prunnet_pml.masks import check_capacities
from prunnet_pml.network import capacity, get_capacity, set_capacity, trained_capacities
from prunnet_pml.norms import STATISTICS, CapacityNorm, check_norms


def calibrate(
    model: nn.Module, loader: Iterable[Any], capacities: Iterable[float] | None = None
) -> None:
    """Replaces the norm statistics of some capacities by exact ones: the average over a loader.

    No gradient is taken, and every other state is untouched. An untrained capacity gets a set of
    its own, which goes into the state dict as the others do. No training changes it: after more of
    it, calibrate again.

    It is batches whose statistics are averaged, each by its share of the images: give shuffled
    batches, as large as in training or larger. The loader is read once, and every batch goes
    through all capacities in turn: ``islice(loader, 50)`` will do.

    Args:
        model: A prunable network.
        loader: Yields images ``[b, ...]``, ``(images, ...)`` or mappings with ``images``. Images of
            type uint8 are scaled to [0, 1].
        capacities: In (0, 1]. Default: the dense network, every trained capacity, and whatever has
            a set from an earlier call.

    Raises:
        ValueError: If a capacity is out of range or comes twice, norms of ``model`` were replaced,
            or the loader yields nothing, or no images. All statistics are then as before, as after
            any other exception.
    """
    get_capacity(model)  # refuses a plain network
    # Compiled, every batch's momentum would be a graph. (DDP stays: its forward shares buffers.)
    model = getattr(model, "_orig_mod", model)
    check_norms(model)
    norms = [module for module in model.modules() if isinstance(module, CapacityNorm)]
    if capacities is None:
        owners = (capacity for norm in norms for capacity in norm.set_capacities)
        capacities = dict.fromkeys((1.0, *trained_capacities(model), *owners))
    chosen = check_capacities(capacities, dense=True)
    if isinstance(loader, Tensor) or not isinstance(loader, Iterable):
        raise ValueError(
            "`loader` should yield batches of images, as a list of one does. "
            f"Found {type(loader).__name__}."
        )
    if not norms:
        return
    sets = [(norm, value) for norm in norms for value in chosen]
    new = [(norm, value) for norm, value in sets if value not in (1.0, *norm.set_capacities)]
    try:
        for norm, value in new:
            norm.own_set(value)
        _estimate(model, sets, loader, chosen)
    except BaseException:
        for norm, value in new:
            if value in norm.set_capacities:
                norm.drop_set(value)
        raise


def _estimate(
    model: nn.Module,
    sets: Sequence[tuple[CapacityNorm, float]],
    batches: Iterable[Any],
    capacities: Sequence[float],
) -> None:
    """Replaces sets of statistics by their cumulative average over the batches.

    Only the norms run in training mode, no gradient is taken, and whatever fails, modes and momenta
    are as before. (``torch.optim.swa_utils.update_bn`` would also turn on dropout, and have a last
    batch of two count as much as the others.)

    Raises:
        ValueError: If there is no batch, a batch holds no images, or statistics come out infinite
            or NaN. The statistics are then as before.
    """
    modes = {module: module.training for module in model.modules()}
    momenta = {norm: norm.momentum for norm, _ in sets}
    before = {owner: [statistic.clone() for statistic in _statistics(*owner)] for owner in sets}
    seen = dict.fromkeys(sets, 0)

    def weigh(norm: Any, inputs: tuple[Tensor, ...]) -> None:  # noqa: ANN401
        owner = norm, norm.capacity
        seen[owner] += inputs[0].numel()
        norm.momentum = inputs[0].numel() / max(seen[owner], 1)

    hooks = [norm.register_forward_pre_hook(weigh) for norm in momenta]
    empty = True
    try:
        model.eval()
        for norm in momenta:
            norm.training = True  # not train(): a norm may hold a dropout
        for owner in sets:
            for statistic in _statistics(*owner):
                statistic.zero_()
        with torch.no_grad(), capacity(model, get_capacity(model)):
            for batch in tqdm(batches, desc="calibrate", disable=None, leave=False):
                images = as_input(_images(batch), model)
                for value in capacities:
                    set_capacity(model, value)
                    _run(model, images)
                empty = False
        if empty:
            raise ValueError("`loader` should yield at least one batch. Found none.")
        if not all(s.isfinite().all() for owner in sets for s in _statistics(*owner)):
            raise ValueError("`loader` should yield finite images. Found NaN or infinite norms.")
        _restore({owner: saved for owner, saved in before.items() if not seen[owner]})  # unused
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


def _run(model: nn.Module, images: Tensor) -> None:
    try:
        model(images)
    except ValueError as error:  # of a norm of vectors, say: one value has no variance
        if len(images) > 1:
            raise
        raise ValueError(
            "`loader` should yield batches of two images at least, with drop_last=True for "
            "instance. Found one of a single image."
        ) from error


def _statistics(norm: CapacityNorm, capacity: float) -> list[Tensor]:
    """A set, as it lies in the norm's buffers."""
    return [norm._set_of(name, capacity) for name in STATISTICS]


def _restore(before: Mapping[tuple[CapacityNorm, float], Sequence[Tensor]]) -> None:
    for owner, saved in before.items():
        for statistic, value in zip(_statistics(*owner), saved, strict=True):
            statistic.copy_(value)


def _images(batch: Any) -> Tensor:  # noqa: ANN401
    """The images of a batch: the batch itself, its first element, or its entry ``images``."""
    images = batch
    if isinstance(batch, Mapping):
        images = batch.get("images")
    elif isinstance(batch, list | tuple):
        images = batch[0] if batch else None
    if isinstance(images, Tensor) and images.dim() > 1:
        return images
    found = type(batch).__name__
    if isinstance(images, Tensor):
        found = f"a tensor of shape {tuple(images.shape)}"
    raise ValueError(
        "`loader` should yield images [b, ...], (images, ...) or a mapping with `images`. "
        f"Found {found}."
    )
