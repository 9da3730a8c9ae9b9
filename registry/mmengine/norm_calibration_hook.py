"""The hook that makes norm statistics exact."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from mmengine.dist import broadcast
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper

from prunnet_pml.calibration import calibrate
from prunnet_pml.masks import check_capacities
from prunnet_pml.network import trained_capacities
from prunnet_pml.norms import CapacityNorm
from prunnet_pml.registry.mmengine.registries import HOOKS


@HOOKS.register_module()
class NormCalibrationHook(Hook):
    """Calibrates every capacity's norm statistics after a training epoch.

    Before the epoch is saved and validated, see :func:`prunnet_pml.calibrate`. (What
    ``PreciseBNHook`` of mmpretrain does for one network.) Of several processes the main one's
    statistics count. It is for loops of epochs: an ``IterBasedTrainLoop`` has saved and validated
    when its only one ends.

    Args:
        num_batches: How many batches of the training loader to average over.
        interval: After every how many epochs.
        capacities: What gets statistics of its own beside the dense network and the trained
            capacities, so that whoever prunes the checkpoint to one of these needs no images. While
            the network trains on, an untrained capacity has none.

    Raises:
        ValueError: If a number is not at least 1, or a capacity not in (0, 1) or there twice; when
            training starts, if there is an ``EMAHook`` beside it.
    """

    def __init__(
        self,
        num_batches: int = 20,
        interval: int = 1,
        capacities: Sequence[float] | None = None,
    ) -> None:
        for name, value in (("num_batches", num_batches), ("interval", interval)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` should be at least 1. Found {value!r}.")
        self.num_batches = num_batches
        self.interval = interval
        self.capacities = () if capacities is None else check_capacities(capacities)

    def before_train(self, runner: Any) -> None:  # noqa: ANN401
        """Refuses to calibrate one network where another one is validated and saved."""
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise ValueError(
                "`custom_hooks` should hold NormCalibrationHook or EMAHook. Found both: the first "
                "would calibrate the network that trains, not its average. Calibrate that one "
                "afterwards, by prunnet_pml.calibrate."
            )

    def before_train_epoch(self, runner: Any) -> None:  # noqa: ANN401
        """Drops what untrained capacities have: it would be that of an earlier network."""
        for module in runner.model.modules():
            if isinstance(module, CapacityNorm):
                for capacity in {*self.capacities} & {*module.set_capacities}:
                    if capacity not in module.trained_capacities:
                        module.drop_set(capacity)

    def after_train_epoch(self, runner: Any) -> None:  # noqa: ANN401
        """Calibrates."""
        if not self.every_n_epochs(runner, self.interval):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        with torch.random.fork_rng():
            batches = (
                model.data_preprocessor(batch, True)[0]
                for batch in islice(runner.train_dataloader, self.num_batches)
            )
            trained = trained_capacities(model.backbone)
            calibrate(model.backbone, batches, {1.0, *trained, *self.capacities})
        for buffer in model.backbone.buffers():
            broadcast(buffer)
