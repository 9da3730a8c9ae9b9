"""A Runner from a config, in one process or in each of torchrun's."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from prunnet_pml.registry.mmengine.unknown_keys import unknown_keys_named


def build_runner(
    config: Config, work_dir: str | Path | None = None, *, resume: bool = False
) -> Runner:
    """Builds mmengine's Runner; under ``torchrun`` one that trains together with the others.

    Args:
        config: See :func:`~prunnet_pml.registry.mmengine.bundled_configs.load_config`.
            It is not changed.
        work_dir: Where checkpoints and logs go: the config's own ``work_dir``, or else
            ``work_dirs/<name of the config>``, by default.
        resume: Whether to go on from the last checkpoint in there, if there is one.

    Returns:
        A Runner to call ``train()`` of.

    Raises:
        ValueError: If a component of the config does not take a key; ``train()``, which builds the
            rest of them, raises it too.
    """
    config = config.copy()
    name = Path(config.filename or "config").stem
    config.work_dir = str(work_dir or config.get("work_dir") or Path("work_dirs", name))
    config.resume = resume or config.get("resume", False)
    if dist.is_torchelastic_launched():
        config.launcher = "pytorch"
        join_processes()
    with unknown_keys_named(config):
        return _Runner.from_cfg(config)


class _Runner(Runner):
    """mmengine's, which builds loops and optimizer no sooner than it trains."""

    def train(self) -> nn.Module:
        with unknown_keys_named(self.cfg):
            trained: nn.Module = super().train()
        return trained


def join_processes() -> None:
    """Makes the process group of torchrun's processes where there is no GPU.

    With GPUs mmengine does that itself, but it can't without; a group that exists it takes.
    """
    if not (torch.cuda.is_available() or dist.is_initialized()):
        dist.init_process_group("gloo")
