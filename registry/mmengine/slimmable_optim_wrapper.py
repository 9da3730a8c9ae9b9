"""The optimizer wrapper that trains all widths of a slimmable network at once."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from prunnet_pml.integration import PCGrad
from prunnet_pml.record_names import loss_name
from prunnet_pml.registry.mmengine.building import build
from prunnet_pml.registry.mmengine.registries import OPTIM_WRAPPERS, TASK_UTILS
from prunnet_pml.slimmable import backward_widths


@OPTIM_WRAPPERS.register_module()
class SlimmableOptimWrapper(OptimWrapper):
    """mmengine's ``OptimWrapper`` with a pass per width, for a ``SlimmableEmbedder``.

    It steps after every batch, on one process.

    Args:
        optimizer: As in mmengine: the constructor builds it from its config.
        integration: Config of an integrator, ``PCGrad`` by default.
        seed: Of what the integrator draws.
        **kwargs: As of ``OptimWrapper``.

    Raises:
        ValueError: If ``accumulative_counts`` is not 1.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        integration: Any = None,  # noqa: ANN401
        seed: int = 0,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(optimizer=optimizer, **kwargs)
        if self._accumulative_counts != 1:
            raise ValueError(
                f"`accumulative_counts` should be 1. Found {self._accumulative_counts}."
            )
        self.integration = PCGrad() if integration is None else build(integration, TASK_UTILS)
        self.seed = seed

    def train_step(self, model: Any, data: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """One iteration: a pass per capacity, then a step.

        Args:
            model: A ``SlimmableEmbedder``.
            data: A batch.

        Returns:
            The loss of every capacity, ``metric_loss_at_20`` say, and ``loss``, their sum.
        """
        images, labels = model.data_preprocessor(data, True)
        losses = {}

        def backward(capacity: float) -> None:
            with self.optim_context(model):
                loss = model.loss_at(capacity, images, labels)
            loss.backward()
            losses[loss_name("metric_loss", capacity)] = loss.detach()

        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        generator = torch.Generator().manual_seed(self.seed + self._inner_count)
        backward_widths(
            model.backbone, model.capacities, parameters, backward, self.integration, generator
        )
        self._inner_count += 1
        self.step()
        return {"loss": torch.stack([*losses.values()]).sum(), **losses}
