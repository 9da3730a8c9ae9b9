"""The hook that keeps pickled objects out of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from prunnet_pml.registry.mmengine.registries import HOOKS

_HISTORY = "prunnet_pml.history"


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Saves checkpoints of tensors, numbers and text alone, which torch loads without trust.

    mmengine's checkpoints hold numpy arrays and objects of its own. Since torch 2.6 ``torch.load``
    refuses them, for whoever made such a file can run code where it is opened, and mmengine can't
    resume. With this hook among ``custom_hooks`` it can, and no file has to be trusted.

    A checkpoint that was saved without it is still refused. If it is from your own ``work_dir`` and
    nobody else could write there, resume once with ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` in the
    environment; never do that with a file that you were given.
    """

    priority = "VERY_LOW"  # after hooks that add to the checkpoint

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:  # noqa: ANN401
        """Replaces mmengine's and numpy's objects."""
        del runner
        checkpoint.update(
            {key: _plain(value) for key, value in checkpoint.items() if key != "state_dict"}
        )

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:  # noqa: ANN401
        """Brings the histories of the log back."""
        del runner
        scalars = checkpoint.get("message_hub", {}).get("log_scalars", {})
        for name, value in scalars.items():
            if isinstance(value, dict) and _HISTORY in value:
                scalars[name] = HistoryBuffer(*value[_HISTORY])


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, HistoryBuffer):
        return {_HISTORY: [*map(_plain, value.data), value.max_length]}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value
