"""The comparison: every capacity in the dense gallery, and what one would do otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from prunnet_pml.calibration import calibrate
from prunnet_pml.datasets import Glyphs
from prunnet_pml.evaluation import CompatibilityMatrix, embed, evaluate
from prunnet_pml.network import make_prunable, trained_capacities

UNTRAINED = (0.5, 0.1)
METRIC = "recall_at_1"


@dataclass(frozen=True)
class Comparison:
    """What the demo measured, all on characters never seen in training.

    Attributes:
        prunable: The prunable network: queries of every capacity, galleries of the trained ones.
        pruned: (a) the network trained alone, magnitude-pruned to every capacity and its norms
            recalibrated, in the gallery of its dense self.
        alone: (b) the network trained alone as the query, in the prunable network's dense gallery:
            one number per metric.
    """

    prunable: CompatibilityMatrix
    pruned: CompatibilityMatrix
    alone: CompatibilityMatrix

    def targets(self) -> dict[str, dict[str, float | bool]]:
        """What the demo promises: name -> value, bound and whether it is met (R@1 in [0, 1])."""
        cross = self.prunable.cross_test(METRIC)
        baseline = self.pruned.cross_test(METRIC)
        dense = cross[1.0]
        pairs = {
            "dense self, at least 0.68": (dense, 0.68),
            "dense self, at least that of a network trained alone": (dense, baseline[1.0]),
            "20% to dense, at least 0.95 x dense self": (cross[0.2], 0.95 * dense),
        }
        for capacity in (0.8, 0.6, 0.4):
            name = f"{capacity:.0%} to dense, at least dense self less one point"
            pairs[name] = (cross[capacity], dense - 0.01)
        for capacity in sorted(set(cross) - {1.0}, reverse=True):
            name = f"{capacity:.0%} to dense, above pruning by magnitude and recalibrating"
            pairs[name] = (cross[capacity], baseline[capacity])
        return {
            name: {"value": value, "bound": bound, "met": value >= bound}
            for name, (value, bound) in pairs.items()
        }


def compare(
    model: nn.Module, alone: nn.Module, glyphs: Glyphs, calibration: Sequence[Tensor]
) -> Comparison:
    """Evaluates a trained prunable network next to a network trained alone.

    Args:
        model: The prunable network. Every capacity's norm statistics are made exact here.
        alone: A plain network; made prunable here, by magnitude, and calibrated as well.
        glyphs: The test split.
        calibration: Batches of training images.
    """
    images = glyphs.images, glyphs.labels
    capacities = tuple(sorted((1.0, *trained_capacities(model), *UNTRAINED), reverse=True))
    calibrate(model, calibration, capacities)
    indexed = (1.0, *trained_capacities(model))
    prunable = evaluate(model, images, capacities=capacities, gallery_capacities=indexed)

    alone_embeddings, labels = embed(alone, images)
    dense_embeddings, _ = embed(model, images)
    in_foreign_gallery = CompatibilityMatrix.from_embeddings(
        {1.0: alone_embeddings}, labels, {1.0: dense_embeddings}
    )
    make_prunable(alone)  # magnitude scores: its subnetworks are what magnitude pruning leaves
    calibrate(alone, calibration, capacities)
    pruned = evaluate(alone, images, capacities=capacities, gallery_capacities=(1.0,))
    return Comparison(prunable, pruned, in_foreign_gallery)
