"""Everything that a training of a prunable network may vary, the library's defaults by default."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torchjd.aggregation as torchjd
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.integration import default_integrator
from prunnet_pml.network import TRAINED_CAPACITIES

TORCHJD: dict[str, Callable[[], Any]] = {
    "PCGrad": torchjd.PCGrad,
    "UPGrad": torchjd.UPGrad,
    "MGDA": torchjd.MGDA,
    "CAGrad": lambda: torchjd.CAGrad(c=0.5),
    "IMTL-G": torchjd.IMTLG,
    "AlignedMTL": torchjd.AlignedMTL,
}
"""TorchJD's aggregators that stand in for the library's integrator."""


def _default(function: Callable[..., Any], name: str) -> Any:  # noqa: ANN401
    return inspect.signature(function).parameters[name].default


@dataclass(frozen=True)
class Settings:
    """One way to train a prunable network; what is not said is as the library does it.

    Attributes:
        granularity: Of ``make_prunable``.
        round_to: Of ``make_prunable``.
        initial_scores: Of ``make_prunable``.
        score_depthwise: Of ``make_prunable``.
        capacities: The trained ones, beside the dense network.
        drawn: How many more take part in a step, drawn evenly from [0.1, 1).
        scores: ``"learned"``; ``"frozen"``, as they start; ``"magnitude"``, those of the weights
            after every step.
        compatible: Whether subnetworks meet the dense network's class weights, by
            ``CompatibleLoss``; else the plain loss of every capacity is trained.
        space: ``"logit"``, as the library does it; ``"embedding"``: subnetworks are compared with
            the dense network's embeddings in place of its class weights.
        alignment: Of ``CompatibleLoss``.
        contrast: Of ``CompatibleLoss``.
        positives: What contrast draws an image to: ``"image and class"``, half and half, as the
            library does it; ``"class"``, all images of its class alike; ``"image"`` alone.
        integration: ``"ConflictAware"``, ``"Sum"``, or one of TorchJD's aggregators.
        projection: Of ``ConflictAware``.
        alpha: Of ``ConflictAware``.
        per_filter: Of ``ConflictAware``; None: what ``default_integrator`` says of the network.
        epsilon: Of ``ConflictAware``.
        shared: Of ``ConflictAwareOptimizer``.
        dense_share: The share of all steps that are its ``dense_steps``.
        subnetworks_per_step: Of ``ConflictAwareOptimizer``.
        between: Of ``ConflictAwareOptimizer``.
        times_the_steps: Of the task's.
        batches: What a step trains on: ``"one for all"`` capacities; ``"one for each"``; or, for
            subnetworks, ``"the one before"``: the dense network's of the step before, and what it
            made of it then.
    """

    granularity: str = _default(prunnet.make_prunable, "granularity")
    round_to: int | None = _default(prunnet.make_prunable, "round_to")
    initial_scores: str = _default(prunnet.make_prunable, "initial_scores")
    score_depthwise: bool = _default(prunnet.make_prunable, "score_depthwise")
    capacities: tuple[float, ...] = tuple(sorted(TRAINED_CAPACITIES, reverse=True))
    drawn: int = 0
    scores: str = "learned"
    compatible: bool = True
    space: str = _default(prunnet.CompatibleLoss, "space")
    alignment: float = _default(prunnet.CompatibleLoss, "alignment")
    contrast: float = 3.0
    positives: str = "image and class"
    integration: str = "ConflictAware"
    projection: str = _default(prunnet.ConflictAware, "projection")
    alpha: float = _default(prunnet.ConflictAware, "alpha")
    per_filter: bool | None = None
    epsilon: float = _default(prunnet.ConflictAware, "epsilon")
    shared: str = _default(prunnet.ConflictAwareOptimizer, "shared")
    dense_share: float = 0.0
    subnetworks_per_step: int | None = _default(
        prunnet.ConflictAwareOptimizer, "subnetworks_per_step"
    )
    between: float = _default(prunnet.ConflictAwareOptimizer, "between")
    times_the_steps: float = 1.0
    batches: str = "one for all"

    def describe(self) -> dict[str, Any]:
        """All of them, as JSON gives them back."""
        return {**asdict(self), "capacities": list(self.capacities)}

    def integrator(self, model: nn.Module) -> Any:  # noqa: ANN401
        """What ``ConflictAwareOptimizer`` takes for a network."""
        if self.integration in TORCHJD:
            return TORCHJD[self.integration]()
        if self.integration == "Sum":
            return prunnet.Sum()
        per_filter = self.per_filter
        if per_filter is None:
            per_filter = default_integrator(model).per_filter
        return prunnet.ConflictAware(self.projection, self.alpha, per_filter, self.epsilon)


DEFAULT = Settings(times_the_steps=2.5)
"""The library's defaults: a dense pass and a drawn one a step, as many passes as of five a step."""

ALL_CAPACITIES = Settings(subnetworks_per_step=None, between=0.0, contrast=1.0)
"""The library's losses and integrator, all capacities in every step, as in the paper."""

PAPER = Settings(
    subnetworks_per_step=None, between=0.0, initial_scores="uniform", score_depthwise=True,
    alignment=0.0, contrast=0.0, alpha=0.5, epsilon=1e-8, shared="dense", projection="sequential",
)  # fmt: skip
"""As published."""

JOINT = replace(ALL_CAPACITIES, compatible=False, alignment=0.0, contrast=0.0, integration="Sum")
"""The same class loss at every capacity, and no more."""

CHANNEL = replace(
    ALL_CAPACITIES, granularity="channel", integration="Sum", alignment=1.0, contrast=0.0
)
"""What docs/channel.md names for hidden units."""
