"""Counting the steps of torch's fused optimizers, which write parameters without counting it.

What is found from scores is found anew when their version counter has moved. So where a fused
optimizer steps scores from which something was found, the counter is moved here, for loops without
``ConflictAwareOptimizer`` too.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.weak import WeakTensorKeyDictionary

_WATCHED = WeakTensorKeyDictionary()


def watch(scores: Tensor) -> None:
    """From now on a fused step of these scores raises their version counter."""
    _WATCHED[scores] = True


def _count(optimizer: torch.optim.Optimizer, *_: Any) -> None:  # noqa: ANN401
    fused = [group["params"] for group in optimizer.param_groups if group.get("fused")]
    for parameter in itertools.chain(*fused):
        if parameter in _WATCHED:
            torch.autograd.graph.increment_version(parameter)


register_optimizer_step_post_hook(_count)
