"""Norm statistics: every capacity owns the running mean and variance of every batch norm.

Pruned activations have other statistics than dense ones, and a subnetwork read with the dense
network's collapses. As for scored layers, the class of a norm is exchanged for a subclass whose
``running_mean`` and ``running_var`` read the set of the current capacity. The dense set keeps its
plain names, so that stock checkpoints load and stock timm loads ours; affine parameters are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from prunnet_pml.class_exchange import Exchanged, exchange_class, restore_class
from prunnet_pml.space import roots
from prunnet_pml.user_warning import warn_user

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
CAPACITIES = "norm_capacities"
_UNIT = 10_000_000
"""Capacities are kept as integers, in units of 1e-7: ``model.half()`` leaves integers alone."""


class CapacityNorm(Exchanged):
    """What every norm with sets of statistics is: a mixin in front of the norm's own class.

    The sets of capacities below 1 are stacked in buffers ``capacity_running_mean`` [N, channels],
    ``capacity_running_var`` [N, channels] and ``capacity_num_batches_tracked`` [N]; the buffer
    ``norm_capacities`` [N] says whose they are, in units of 1e-7. So a checkpoint explains itself.

    Attributes:
        capacity: The capacity whose statistics are read now; set by ``set_capacity``.
        trained_capacities: The capacities that take part in training; each owns a set.
        set_capacities: The capacities below 1 that own a set, in the order of the buffers.
    """

    capacity: float
    trained_capacities: tuple[float, ...]
    set_capacities: tuple[float, ...]
    capacity_running_mean: Tensor
    capacity_running_var: Tensor
    capacity_num_batches_tracked: Tensor
    norm_capacities: Tensor
    momentum: float | None
    reset_running_stats: Callable[[], None]
    _buffers: dict[str, Any]  # running statistics are there, never None

    @property
    def running_mean(self) -> Tensor:
        return self._statistic("running_mean")

    @property
    def running_var(self) -> Tensor:
        return self._statistic("running_var")

    @property
    def num_batches_tracked(self) -> Tensor:
        return self._statistic("num_batches_tracked")

    def set_capacity(self, capacity: float) -> None:
        """Reads and updates this capacity's statistics from now on."""
        self.capacity = capacity

    def _statistic(self, name: str) -> Tensor:
        if self._owns_a_set() or not self.training:
            return self.of_capacity(name)
        # What such a pass moves is lost. Compiled, interpolation is a graph for every capacity.
        compiling = torch.compiler.is_compiling()
        found = self._set_of(name, 1.0).clone() if compiling else self.of_capacity(name)
        return found if found.is_floating_point() else found.clamp(min=1)  # some divide by it

    def of_capacity(self, name: str) -> Tensor:
        """One statistic of the current capacity: its own, or between those of its neighbours."""
        find = self._set_of if self._owns_a_set() else self._interpolated
        return find(name, self.capacity)

    def _owns_a_set(self) -> bool:
        return self.capacity == 1 or self.capacity in self.set_capacities

    def _interpolated(self, name: str, capacity: float) -> Tensor:
        owned = {c: self._set_of(name, c) for c in (*self.set_capacities, 1.0)}
        return interpolated(owned, capacity)

    def _set_of(self, name: str, capacity: float) -> Tensor:
        dense: Tensor = self._buffers[name]
        if capacity == 1:
            return dense
        sets: Tensor = self._buffers[f"capacity_{name}"]
        return sets[self.set_capacities.index(capacity)]

    def own_set(self, capacity: float) -> None:
        """Gives an untrained capacity a set of its own, starting from what is read there now."""
        grown = {}
        with torch.inference_mode(False):  # training may update what an evaluation added
            for name in STATISTICS:
                stacked, row = self._buffers[f"capacity_{name}"], self._interpolated(name, capacity)
                grown[f"capacity_{name}"] = torch.cat([stacked, row.unsqueeze(0)])
            self._buffers.update(grown)
            self._name_sets((*self.set_capacities, capacity))

    def drop_set(self, capacity: float) -> None:
        """Takes a capacity's set away again."""
        others = [c for c in self.set_capacities if c != capacity]
        rows = [self.set_capacities.index(c) for c in others]
        for name in STATISTICS:
            self._buffers[f"capacity_{name}"] = self._buffers[f"capacity_{name}"][rows]
        self._name_sets(others)

    def _name_sets(self, capacities: Sequence[float]) -> None:
        self.set_capacities = tuple(capacities)
        dense = self._buffers["running_mean"]
        self._buffers[CAPACITIES] = capacity_units(capacities).to(dense.device)

    def _save_to_state_dict(self, *args: Any) -> None:  # noqa: ANN401
        """Says anew whose sets they are: an average of weights rounds integers, too."""
        self._buffers[CAPACITIES].copy_(capacity_units(self.set_capacities))
        super()._save_to_state_dict(*args)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """A plain checkpoint fills every set with its dense one; ours brings its own sets.

        A trained capacity that ours lacks gets the set that is read there.
        """
        key = prefix + CAPACITIES
        if key in state_dict:
            for name in (*(f"capacity_{name}" for name in STATISTICS), CAPACITIES):
                stored = state_dict.get(prefix + name)
                if stored is not None and stored.shape[:1] != self._buffers[name].shape[:1]:
                    self._buffers[name] = self._buffers[name].new_zeros(
                        stored.shape[:1] + self._buffers[name].shape[1:]
                    )
            self._name_sets(stored_capacities(state_dict[key]))
        elif prefix + "running_mean" in state_dict:
            for name in STATISTICS:
                dense = state_dict.get(prefix + name, self._buffers[name])
                repeated = dense.repeat(len(self.set_capacities), *[1] * dense.dim())
                state_dict[f"{prefix}capacity_{name}"] = repeated  # no view: it may be assigned
            state_dict[key] = self._buffers[CAPACITIES]
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        for capacity in self.trained_capacities:
            if capacity not in self.set_capacities:
                self.own_set(capacity)


def interpolated(sets: Mapping[float, Tensor], capacity: float) -> Tensor:
    """One statistic at a capacity: linear between the two nearest sets; the last one beyond them.

    Args:
        sets: The statistic by the capacity that owns it, the dense network's at 1.
        capacity: In (0, 1].
    """
    upper = min(c for c in sets if c >= capacity)
    lower = max((c for c in sets if c <= capacity), default=upper)
    above, below = sets[upper], sets[lower]
    if lower == upper or not above.is_floating_point():
        return above.clone()
    return below.lerp(above, (capacity - lower) / (upper - lower))


@contextmanager
def batch_counts_as(model: nn.Module, batches: float) -> Iterator[None]:
    """Inside, a batch moves the running averages of norms as far as so many batches like it would.

    For a subnetwork that is drawn once in ``batches`` steps: so its averages reach as many steps
    back as the dense network's. (Those of a norm without momentum are of all batches, and stay so.)
    """
    if batches == 1:
        yield
        return
    norms = [module for module in model.modules() if isinstance(module, CapacityNorm)]
    momenta = {norm: norm.momentum for norm in norms if norm.momentum is not None}
    try:
        for norm, momentum in momenta.items():
            norm.momentum = 1 - (1 - momentum) ** batches
        yield
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum


def capacity_units(capacities: Iterable[float]) -> Tensor:
    """Capacities as ``norm_capacities`` keeps them."""
    units = [round(capacity * _UNIT) for capacity in capacities]
    return torch.tensor(units, dtype=torch.int64, device="cpu")


def stored_capacities(units: Tensor) -> list[float]:
    """The capacities that a checkpoint's ``norm_capacities`` names."""
    return [value / _UNIT for value in units.tolist()]


def owns_statistics(module: nn.Module) -> bool:
    """Whether a module is a norm with running statistics (batch norm of any subclass)."""
    return isinstance(module, _NormBase) and module._buffers.get("running_mean") is not None


def warn_of_single_sets(model: nn.Module) -> None:
    """Warns of norms with running statistics that are no batch norms of torch: they get no sets."""
    for name, module in model.named_modules():
        if not isinstance(module, _NormBase) and module._buffers.get("running_var") is not None:
            warn_user(
                f"`{name}`, a {type(module).__name__}, has one set of running statistics for all "
                "capacities, and a subnetwork read with the dense network's collapses. Freeze a "
                "batch norm by eval() and requires_grad_(False) (timm's `freeze` replaces it)."
            )
            return


def check_norms(model: nn.Module) -> None:
    """Refuses a prunable network whose norms were replaced by others, without sets of statistics.

    Warns where those are no batch norms of torch: there they may have stood before.

    Raises:
        ValueError: If there is such a norm.
    """
    for root in roots(model):
        for name, module in root.named_modules():
            if owns_statistics(module) and not isinstance(module, CapacityNorm):
                raise ValueError(
                    "`model` should have norm statistics for every capacity. Found "
                    f"`{name}`, a {type(module).__name__} that came after make_prunable: add norms,"
                    " or convert them (to SyncBatchNorm, say), before."
                )
        warn_of_single_sets(root)


def add_sets(norm: nn.Module, capacities: tuple[float, ...]) -> None:
    """Turns a norm into one with a set of statistics per capacity, in place."""
    owned: dict[str, Any] = {name: norm._buffers.get(name) for name in STATISTICS}
    if owned["num_batches_tracked"] is None:  # as torch fills it in when it loads
        owned["num_batches_tracked"] = torch.tensor(0, device=owned["running_mean"].device)
    sets = {
        f"capacity_{name}": dense.repeat(len(capacities), *[1] * dense.dim())
        for name, dense in owned.items()
    }
    owner = exchange_class(norm, CapacityNorm)
    owner.capacity = 1.0
    owner.trained_capacities = capacities
    for name, stacked in {**sets, CAPACITIES: None}.items():
        owner.register_buffer(name, stacked)
    owner._buffers.update(owned)
    owner._name_sets(capacities)


def remove_sets(norm: CapacityNorm) -> None:
    """Turns a norm into one of its original class with its current statistics, in place.

    Also one that ``add_sets`` left half way.
    """
    for name in STATISTICS:
        if norm._buffers[name] is not None:
            norm._buffers[name] = norm.of_capacity(name).detach().clone()
        norm._buffers.pop(f"capacity_{name}", None)
    norm._buffers.pop(CAPACITIES, None)
    for name in ("capacity", "trained_capacities", "set_capacities"):
        norm.__dict__.pop(name, None)
    restore_class(norm)
