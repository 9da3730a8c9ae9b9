"""PML's MetricLossOnly for prunable networks."""

from __future__ import annotations

from pytorch_metric_learning.trainers import MetricLossOnly

from prunnet_pml.trainers.prunable_trainer_mixin import PrunableTrainerMixin


class PrunableMetricLossOnly(PrunableTrainerMixin, MetricLossOnly):
    """PML's ``MetricLossOnly``, training every capacity of a prunable trunk or embedder.

    ::

        trunk = prunnet.make_prunable(trunk)
        loss_func = prunnet.CompatibleLoss(loss, trunk)
        parameters = [*trunk.parameters(), *embedder.parameters(), *loss_func.parameters()]
        optimizer = prunnet.ConflictAwareOptimizer(torch.optim.SGD(parameters, lr=0.01), trunk)
        trainer = PrunableMetricLossOnly(
            models={"trunk": trunk, "embedder": embedder},
            optimizers={"trunk_optimizer": optimizer},
            batch_size=32,
            loss_funcs={"metric_loss": loss_func},
            dataset=dataset,
        )

    Arguments, hooks and errors: see :class:`PrunableTrainerMixin`.
    """
