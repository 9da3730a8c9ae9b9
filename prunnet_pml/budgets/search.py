"""``capacity_for``: the largest capacity within a budget.

Below the dense network, whatever a subnetwork takes is a step function of its capacity that never
falls, so halving finds the last step within a limit. The dense network is asked first: of
granularity "weight" it takes fewer bytes than a subnetwork that prunes next to nothing, as it needs
no bit mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from prunnet_pml.budgets.budget import Budget
from prunnet_pml.budgets.costs import ChannelCosts, WeightCosts, dense_network
from prunnet_pml.budgets.latency import LatencyCosts
from prunnet_pml.given_network import unwrapped
from prunnet_pml.input_size import input_size_for
from prunnet_pml.network import scored_layers
from prunnet_pml.units.scoring import has_units

_STEPS = 10_000_000
"""That capacities have in (0, 1]: seven decimals."""
_TIMED_STEPS = _STEPS // 100
"""Where each is a measurement, and what less than a hundredth changes is noise."""


def capacity_for(
    model: nn.Module,
    *,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    latency_ms: float | None = None,
    input_size: tuple[int, int, int] | None = None,
    batch_size: int = 1,
    threads: int | None = None,
) -> float:
    """The largest capacity at which a pruned network is within all of the given limits.

    >>> import timm
    >>> import prunnet_pml as prunnet
    >>> network = timm.create_model("test_resnet", num_classes=64)  # 102 million MACs
    >>> model = prunnet.make_prunable(network, granularity="channel")
    >>> prunnet.capacity_for(model, macs=40e6, params=200_000)
    0.393617

    Args:
        model: A prunable network, or one in DDP or ``torch.compile``. It stays as it is.
        macs: As all others: see :class:`Budget`, which says what is counted, and how.
        params: Parameters.
        bytes: Bytes of the stored tensors; of granularity "weight" as the Hub stores them.
        latency_ms: Milliseconds of a forward. They are measured, at seven capacities or so, so the
            capacity is exact to about 0.01 on a machine that does nothing else. Wherever it ends, a
            network of that capacity was measured within the limit.
        input_size: (channels, height, width) of an image.
        batch_size: Images of a forward that is timed.
        threads: Threads of a forward that is timed.

    Returns:
        In (0, 1]. Exact to the seventh decimal, which is as far as capacities are told apart.

    Raises:
        ValueError: If even the smallest subnetwork is beyond a limit, nothing is limited, an
            argument is out of its range, or ``latency_ms`` is given for granularity "weight".
    """
    budget = Budget(macs, params, bytes, latency_ms, input_size, batch_size, threads)
    return largest_capacity(model, budget)


def largest_capacity(model: nn.Module, budget: Budget) -> float:
    """As :func:`capacity_for`, of a budget.

    Raises:
        ValueError: As ``capacity_for``.
    """
    model = unwrapped(model)
    scored_layers(model)  # refuses a plain network
    if not isinstance(budget, Budget):
        raise ValueError(f"`budget` should be a Budget. Found {budget!r}.")
    limits = budget.limits
    latency = limits.pop("latency_ms", None)
    channel = has_units(model)
    if latency is not None and not channel:
        raise ValueError(
            "`latency_ms` should be left out with granularity 'weight', whose zeros take as long "
            f"as other weights do. Found {latency!r}."
        )
    size = None
    if "macs" in limits or latency is not None:
        size = input_size_for(dense_network(model), budget.input_size)
    capacity = 1.0
    if limits:
        costs = ChannelCosts(model, size) if channel else WeightCosts(model, size)
        capacity = _largest_within(limits, costs.at)
    if latency is not None:
        timed = LatencyCosts(model, (budget.batch_size, *(size or ())), budget.threads)
        capacity = _largest_within({"latency_ms": latency}, timed.at, capacity, _TIMED_STEPS)
    return capacity


def _largest_within(
    limits: Mapping[str, float],
    costs_at: Callable[[float], Mapping[str, float]],
    largest: float = 1.0,
    resolution: int = 1,
) -> float:
    """The largest capacity up to ``largest`` with costs within limits, to ``resolution`` steps.

    Raises:
        ValueError: If there is none; it says which limit is too small.
    """

    def within(capacity: float) -> bool:
        costs = costs_at(capacity)
        return all(costs[name] <= limit for name, limit in limits.items())

    if within(largest):
        return largest
    smallest = costs_at(1 / _STEPS)
    for name, limit in limits.items():
        if smallest[name] > limit:
            least = f"{smallest[name]:,.0f}" if name != "latency_ms" else f"{smallest[name]:.3g}"
            which = "every" if smallest[name] == costs_at(1.0)[name] else "the smallest"
            raise ValueError(
                f"`{name}` should be at least {least}, which is what {which} subnetwork takes. "
                f"Found {limit:,.10g}."
            )
    below, above = 1, round(largest * _STEPS)
    while above - below > resolution:
        middle = (below + above) // 2
        if within(middle / _STEPS):
            below = middle
        else:
            above = middle
    return below / _STEPS
