"""A prunable network taken apart: which tensors are scored, which are norm statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from prunnet_pml.hub.layout import unit_scores
from prunnet_pml.hub.records import DTYPES
from prunnet_pml.hub.unit_axes import KeptEntries, unit_axes
from prunnet_pml.layers import SCORES, ScoredLayer
from prunnet_pml.norms import CAPACITIES, STATISTICS, CapacityNorm
from prunnet_pml.units.groups import HiddenUnits, UnitGroup
from prunnet_pml.units.scoring import has_units, hidden_units


@dataclass(frozen=True)
class Anatomy:
    """The tensors of a prunable network, on the CPU, by their names in the plain network.

    Attributes:
        plain: Every tensor of the dense network, in the order of its state dict.
        scores: The scores of the scored ones.
        score_names: What those scores are called in the prunable network.
        norms: The norm statistics, by the capacities that own them, 1 included.
        parameters: The names of what is trained, and stored at the chosen precision.
        units: The hidden units of granularity "channel".
        kept: What a capacity keeps of the tensors that these lie in.
    """

    plain: dict[str, Tensor]
    scores: dict[str, Tensor]
    score_names: dict[str, str]
    norms: dict[str, dict[float, Tensor]]
    parameters: set[str]
    units: HiddenUnits | None = None
    kept: KeptEntries = field(default_factory=lambda: KeptEntries((), (), {}))

    @property
    def norm_capacities(self) -> tuple[float, ...]:
        """The capacities that own norm statistics, ascending; the last one is 1."""
        return tuple(sorted({c for sets in self.norms.values() for c in sets} | {1.0}))


def dissect(model: nn.Module) -> Anatomy:
    """Takes a prunable network apart.

    Raises:
        ValueError: If it shares a tensor between two names, its state dict holds something that
            is no tensor or of a type that the format has not, its norms own the statistics of
            different capacities, units lie in other numbers than floating-point ones, or a weight,
            a score or a statistic is not finite.
    """
    _check(model)
    plain = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    scores: dict[str, Tensor] = {}
    score_names: dict[str, str] = {}
    norms: dict[str, dict[float, Tensor]] = {}
    units = hidden_units(model) if has_units(model) else None
    scores_of_units = [plain.pop(unit_scores(group)).float() for group in _groups(units)]
    for module_name, module in model.named_modules():
        prefix = f"{module_name}." if module_name else ""
        if isinstance(module, ScoredLayer):
            for name, scores_name in SCORES.items():
                if (found := plain.pop(prefix + scores_name, None)) is not None:
                    scores[prefix + name] = found.float()
                    score_names[prefix + name] = prefix + scores_name
        elif isinstance(module, CapacityNorm):
            for name in STATISTICS:
                stacked = plain.pop(f"{prefix}capacity_{name}")
                own = dict(zip(module.set_capacities, stacked, strict=True))
                norms[prefix + name] = {**own, 1.0: plain[prefix + name]}
            del plain[prefix + CAPACITIES]
    if len({tuple(sorted(sets)) for sets in norms.values()}) > 1:
        raise ValueError("`model` should own norm statistics of the same capacities in every norm.")
    axes = unit_axes(_groups(units), {name: tuple(value.shape) for name, value in plain.items()})
    for name in axes:
        if not plain[name].is_floating_point():
            raise ValueError(
                f"`model` should have units in floating-point numbers. Found some in `{name}`."
            )
    parameters = {name for name, _ in model.named_parameters()}
    kept = KeptEntries(_groups(units), scores_of_units, axes)
    return Anatomy(plain, scores, score_names, norms, parameters, units, kept)


def _groups(units: HiddenUnits | None) -> tuple[UnitGroup, ...]:
    return units.groups if units else ()


def _check(model: nn.Module) -> None:
    names: dict[int, str] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor) or value.dtype not in DTYPES.values():
            found = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"`model` should hold tensors of {', '.join(DTYPES)}. Found {found} in `{name}`."
            )
        if id(value) in names:
            raise ValueError(
                f"`model` should own every tensor once. Found `{names[id(value)]}` as `{name}` too."
            )
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"`model` should hold finite numbers. Found others in `{name}`.")
        names[id(value)] = name
