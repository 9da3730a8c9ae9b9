"""The model wrapper for several processes."""

from __future__ import annotations

from typing import Any

from mmengine.model import MMDistributedDataParallel
from torch import Tensor, nn

from prunnet_pml.registry.mmengine.prunable_embedder import PrunableEmbedder
from prunnet_pml.registry.mmengine.registries import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class PrunableDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's ``MMDistributedDataParallel`` of a ``PrunableEmbedder``: a reduction per capacity.

    ``model_wrapper_cfg=dict(type="prunnet_pml.PrunableDistributedDataParallel")``

    Args:
        module: The model.
        device_ids: As mmengine gives them; of no use on a CPU.
        find_unused_parameters: On: subnetworks don't train the loss's class weights.
        **kwargs: As of ``MMDistributedDataParallel``.

    Raises:
        ValueError: If the Runner's ``sync_bn`` has replaced the norms of ``module``, and with them
            the statistics of every capacity.
    """

    def __init__(
        self,
        module: PrunableEmbedder,
        device_ids: list[int] | None = None,
        find_unused_parameters: bool = True,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        if any(type(layer) is nn.SyncBatchNorm for layer in module.modules()):
            raise ValueError(
                "`sync_bn` should be None: it takes the norm statistics of every capacity away. "
                "Found SyncBatchNorm. Give a backbone that was converted before."
            )
        on_cpu = next(module.parameters()).device.type == "cpu"
        super().__init__(
            module,
            device_ids=None if on_cpu else device_ids,
            find_unused_parameters=find_unused_parameters,
            **kwargs,
        )

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """One iteration over all capacities."""
        losses: dict[str, Tensor] = optim_wrapper.train_step(self, data)
        return losses
