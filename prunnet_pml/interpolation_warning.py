"""The warning that a capacity is read with norm statistics that are not its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import nn

from prunnet_pml.norms import CapacityNorm
from prunnet_pml.user_warning import warn_user


class InterpolationWarning(UserWarning):
    """A capacity is read with norm statistics from between its neighbours'."""


def statistics_owners(model: nn.Module) -> set[float]:
    """The capacities that own a set in every norm of a network, 1 too; none without norms."""
    sets = [{1.0, *m.set_capacities} for m in model.modules() if isinstance(m, CapacityNorm)]
    return set.intersection(*sets) if sets else set()


def warn_of_interpolation(
    capacities: Iterable[float], owners: Collection[float], remedy: str
) -> None:
    """Gives an ``InterpolationWarning`` if a capacity has no norm statistics of its own.

    Args:
        capacities: Those that are read, in (0, 1].
        owners: Those that have their own; none of a network without norms.
        remedy: A sentence on what to do.
    """
    without = sorted({*capacities} - {1.0, *owners}) if owners else []
    if not without:
        return
    own = sorted({*owners} - {1.0})
    named = ", ".join(f"{capacity:g}" for capacity in without)
    warn_user(
        f"Capacities without norm statistics of their own are read with interpolated ones, which "
        f"costs recall, of some networks all of it. Found {named}, where those of "
        f"{', '.join(f'{capacity:g}' for capacity in (*own, 1.0))} are known. {remedy}",
        InterpolationWarning,
    )
