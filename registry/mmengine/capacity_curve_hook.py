"""The hook that draws what was validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from prunnet_pml.evaluation import plot_capacity_curve
from prunnet_pml.registry.mmengine.compatibility_metric import CompatibilityMetric
from prunnet_pml.registry.mmengine.registries import HOOKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


@HOOKS.register_module()
class CapacityCurveHook(Hook):
    """Draws the capacity curve and the matrix after each validation, for the visualizer.

    Its backends keep them as ``capacity_curve`` and ``compatibility_matrix``: mmengine's local one
    as PNG files in ``vis_data/vis_image``.

    Args:
        metric: One of the matrix's metrics; by default its first, R@1 where no protocol has others.

    Raises:
        ValueError: When training starts, if the validation will not have a metric that is asked
            for, here or by a ``CompatibilityMetric``.
    """

    def __init__(self, metric: str | None = None) -> None:
        self.metric = metric

    def before_train(self, runner: Any) -> None:  # noqa: ANN401
        """Refuses metrics that the validation will not have, before the work.

        Raises:
            ValueError: If ``metric``, or one of a ``CompatibilityMetric``'s ``scalars``, is none.
        """
        if runner.val_loop is None:
            return
        for evaluator in _matrix_metrics(runner):
            if self.metric is not None:
                evaluator.check("metric", self.metric)
            for name in evaluator.scalars or ():
                evaluator.check("scalars", name)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:  # noqa: ANN401
        """Draws the matrix of the validation that has just ended.

        Raises:
            ValueError: If ``val_evaluator`` has no ``CompatibilityMetric``.
        """
        del metrics
        if not is_main_process():
            return
        found = [m.matrix for m in _matrix_metrics(runner) if m.matrix is not None]
        if not found:
            names = [type(metric).__name__ for metric in runner.val_evaluator.metrics]
            raise ValueError(
                f"`val_evaluator` should have a prunnet_pml.CompatibilityMetric. Found {names}."
            )
        metric = self.metric or next(iter(found[0].values))
        figures = {
            "capacity_curve": plot_capacity_curve(found[0], metric),
            "compatibility_matrix": found[0].plot(metric),
        }
        for name, figure in figures.items():
            runner.visualizer.add_image(name, _pixels(figure), step=runner.iter)


def _matrix_metrics(runner: Any) -> list[CompatibilityMetric]:  # noqa: ANN401
    return [m for m in runner.val_evaluator.metrics if isinstance(m, CompatibilityMetric)]


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as RGB, ``[height, width, 3]``."""
    canvas: Any = figure.canvas
    canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return pixels
