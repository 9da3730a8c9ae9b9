"""How long a network runs, on the machine that asks."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from prunnet_pml.budgets.costs import dense_network
from prunnet_pml.units.kept import apply_kept_units, kept_units

_WARM_UP, _TIMED = 3, 9


def measure_latency(network: nn.Module, images: Tensor, threads: int | None = None) -> float:
    """Milliseconds of wall time for one forward: the median of nine, after three to warm up.

    Args:
        network: Any network, in eval mode.
        images: The batch that it takes, on its device.
        threads: How many threads torch may use; as many as now by default.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with torch.inference_mode():
            times = [_seconds(network, images) for _ in range(_WARM_UP + _TIMED)]
    finally:
        torch.set_num_threads(before)
    return 1000 * statistics.median(times[_WARM_UP:])


def _seconds(network: nn.Module, images: Tensor) -> float:
    _wait_for(images)
    start = time.perf_counter()
    network(images)
    _wait_for(images)
    return time.perf_counter() - start


def _wait_for(images: Tensor) -> None:
    """An accelerator returns before it is done."""
    if images.device.type != "cpu":
        torch.accelerator.synchronize(images.device)


class LatencyCosts:
    """How long subnetworks of granularity "channel" run: each is cut out and timed.

    Args:
        model: A prunable network.
        shape: Of the batch, [images, channels, height, width].
        threads: As in :func:`measure_latency`.
    """

    def __init__(self, model: nn.Module, shape: Sequence[int], threads: int | None) -> None:
        self._model, self._threads = model, threads
        self._dense = dense_network(model)
        images = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
        self._images = images.to(next(model.parameters()))

    def at(self, capacity: float) -> dict[str, float]:
        """``latency_ms``."""
        network = apply_kept_units(copy.deepcopy(self._dense), kept_units(self._model, capacity))
        return {"latency_ms": measure_latency(network, self._images, self._threads)}
