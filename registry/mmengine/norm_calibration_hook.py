"""The hook that makes norm statistics exact."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from prunnet_pml.calibration import calibrate
from prunnet_pml.registry.mmengine.registries import HOOKS


@HOOKS.register_module()
class NormCalibrationHook(Hook):
    """Calibrates every capacity's norm statistics after a training epoch.

    Before the epoch is saved and validated, see :func:`prunnet_pml.calibrate`. (What
    ``PreciseBNHook`` of mmpretrain does for one network.) Of several processes the main one's
    statistics count.

    Args:
        num_batches: How many batches of the training loader to average over.
        interval: After every how many epochs.

    Raises:
        ValueError: If an argument is not at least 1.
    """

    def __init__(self, num_batches: int = 20, interval: int = 1) -> None:
        for name, value in (("num_batches", num_batches), ("interval", interval)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` should be at least 1. Found {value!r}.")
        self.num_batches = num_batches
        self.interval = interval

    def after_train_epoch(self, runner: Any) -> None:  # noqa: ANN401
        """Calibrates."""
        if not self.every_n_epochs(runner, self.interval):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        with torch.random.fork_rng():
            batches = [
                model.data_preprocessor(batch, True)[0]
                for batch in islice(runner.train_dataloader, self.num_batches)
            ]
            calibrate(model.backbone, batches)
        for buffer in model.backbone.buffers():
            broadcast(buffer)
