"""The hook that lets a resumed training draw what it would have drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, set_random_seed

from prunnet_pml.registry.mmengine.registries import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds Python, numpy and torch when an epoch starts, by the Runner's seed and the epoch.

    mmengine saves no random state, so without it a resumed training distorts other images than one
    that went on. Every process draws numbers of its own. In an ``IterBasedTrainLoop``, which has
    one epoch, every batch is an epoch. Not for ``persistent_workers`` of an epoch-based loop, which
    keep their random state.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Any) -> None:  # noqa: ANN401
        """Seeds."""
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            # mmengine skips what was trained on by drawing it again
            loop.dataloader_iterator = _seeded(runner, loop.dataloader_iterator)
        else:
            _seed(runner, runner.epoch)


def _seeded(runner: Any, batches: Iterator[Any]) -> Iterator[Any]:  # noqa: ANN401
    """Batches, each drawn, and trained on, from random states of its own."""
    index = 0
    while True:
        _seed(runner, index)
        yield next(batches)
        index += 1


def _seed(runner: Any, index: int) -> None:  # noqa: ANN401
    start = (2_654_435_761 * (runner.seed + 1) + index) % 2**31
    set_random_seed(start + runner.rank)
