"""Which subnetwork of a checkpoint a command is about: a capacity, or the largest in a budget."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torch import nn

    from prunnet_pml.hub import Manifest

_SUFFIXES = {"k": 1e3, "m": 1e6, "g": 1e9}


def quantity(text: str) -> float:
    """A number with a suffix or none: ``300M`` is 300 million.

    Raises:
        typer.BadParameter: If it is neither.
    """
    factor = _SUFFIXES.get(text[-1:].lower(), 1)
    try:
        return float(text if factor == 1 else text[:-1]) * factor
    except ValueError:
        raise typer.BadParameter(f"should be a number such as 300M (or k, G). Found {text!r}.")  # noqa: B904


def _limit(option: str, help_text: str) -> Any:  # noqa: ANN401
    return typer.Option(
        option, parser=quantity, metavar="NUMBER", help=help_text, show_default=False
    )


Capacity = Annotated[
    float | None, typer.Option(help="What share of the units to keep.", show_default=False)
]
Macs = Annotated[
    float | None, _limit("--macs", "Instead: at most so many MACs an image, such as 300M.")
]
Params = Annotated[float | None, _limit("--params", "Instead: at most so many parameters.")]
Bytes = Annotated[
    float | None,
    _limit(
        "--bytes",
        "Instead: at most so many bytes of weights, as precise as they are written. Of granularity "
        "weight: as the Hub stores them; the file written here holds zeros in full.",
    ),
]
LatencyMs = Annotated[
    float | None, _limit("--latency-ms", "Instead: at most so many milliseconds an image.")
]


@dataclass(frozen=True)
class Subnetwork:
    """What a command was asked for.

    Attributes:
        network: A plain network.
        capacity: Its capacity.
        manifest: Of the checkpoint that it is from.
        kept: Its hidden units, see ``kept_units``; None of granularity "weight".
    """

    network: nn.Module
    capacity: float
    manifest: Manifest
    kept: dict[str, Any] | None


def load_subnetwork(
    source: str,
    revision: str | None,
    capacity: float | None,
    *,
    precision: str | None = None,
    **limits: float | None,
) -> Subnetwork:
    """Loads a capacity, or the largest one within limits.

    Args:
        source: As in ``from_pretrained``.
        revision: As in ``from_pretrained``.
        capacity: In (0, 1].
        precision: Of the parameters whose bytes count; by default the checkpoint's.
        limits: Of ``capacity_for``; those that are None do not count.

    Raises:
        ValueError: If not either a capacity or limits are given, or no subnetwork is within them.
    """
    from prunnet_pml import kept_units, prune
    from prunnet_pml.hub import describe, from_pretrained
    from prunnet_pml.interpolation_warning import InterpolationWarning

    given = {name: limit for name, limit in limits.items() if limit is not None}
    if (capacity is None) == (not given):
        found = "neither" if capacity is None else "both"
        raise ValueError(f"Either a capacity or limits should be given. Found {found}.")
    manifest = describe(source, revision=revision).manifest
    kept = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InterpolationWarning)  # whose remedy is a line of Python
        if capacity is not None and not manifest.units:  # downloads what it needs, and no more
            network = from_pretrained(source, capacity, revision=revision)
        else:
            model = from_pretrained(source, revision=revision)
            if capacity is None:
                capacity = _largest_within(given, model, precision or manifest.precision)
            kept = kept_units(model, capacity) if manifest.units else None
            network = prune(model, capacity)
    _warn_of_norms(manifest, capacity)
    return Subnetwork(network, capacity, manifest, kept)


def _largest_within(limits: dict[str, float], model: nn.Module, precision: str) -> float:
    """``capacity_for``; the parameters whose bytes count are of a precision."""
    import copy

    import torch

    from prunnet_pml import capacity_for, score_parameters

    stored = copy.deepcopy(model)
    scores = {id(parameter) for parameter in score_parameters(stored)}
    for parameter in stored.parameters():
        if id(parameter) not in scores:  # which rank as they are
            parameter.data = parameter.data.to(getattr(torch, precision))
    of_tensors = {name: limit for name, limit in limits.items() if name in ("params", "bytes")}
    of_forwards = {name: limit for name, limit in limits.items() if name not in of_tensors}
    found = [
        capacity_for(network, **some)  # type: ignore[arg-type]
        for network, some in ((stored, of_tensors), (model, of_forwards))
        if some
    ]
    return min(found)


def _warn_of_norms(manifest: Manifest, capacity: float) -> None:
    """Says that norm statistics are interpolated, with a remedy for whoever types a command."""
    from prunnet_pml.interpolation_warning import warn_of_interpolation

    smaller = max((c for c in manifest.norm_owners if c < capacity), default=None)
    remedy = "" if smaller is None else f"`--capacity {smaller:g}` is the next smaller one. "
    warn_of_interpolation(
        [capacity],
        manifest.norm_owners,
        f"{remedy}With images at hand, prunnet_pml.prune takes `calibration`.",
    )
