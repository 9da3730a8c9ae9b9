"""The hook that lets a resumed training draw what it would have drawn."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import set_random_seed

from prunnet_pml.registry.mmengine.registries import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds Python, numpy and torch when an epoch starts, by the Runner's seed and the epoch.

    mmengine saves no random state, so without it a resumed training distorts other images than one
    that went on. Every process draws numbers of its own. Not for ``IterBasedTrainLoop``, which has
    one epoch, nor for ``persistent_workers``, which keep their random state.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Any) -> None:  # noqa: ANN401
        """Seeds."""
        start = (2_654_435_761 * (runner.seed + 1) + runner.epoch) % 2**31
        set_random_seed(start + runner.rank)
