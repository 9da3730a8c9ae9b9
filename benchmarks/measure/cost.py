"""What a training costs: time against dense steps of the same process, and memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch

from measure.clock import seconds as now
from measure.memory import forget_peak, peak_mib
from tasks import Task

STEPS = 5
"""Dense steps taken before, and as many after a training."""


def measured(run: Callable[[], None], task: Task) -> dict[str, Any]:
    """Runs a training.

    Returns:
        ``seconds``, see :func:`measure.clock.seconds`; ``dense_step_s``, the median of a plain
        network's steps before and after; ``peak_mib``, the process's peak memory while it ran, on
        the task's device, and ``start_mib``, what it held before.
    """
    with torch.random.fork_rng():
        steps = _dense_steps(task)
    start_mib = forget_peak(task.device)
    start = now(task.device)
    run()
    seconds = now(task.device) - start
    peak = peak_mib(task.device)
    with torch.random.fork_rng():
        steps += _dense_steps(task)
    return {
        "steps": task.recipe.steps,
        "seconds": round(seconds, 2),
        "dense_step_s": round(statistics.median(steps), 5),
        "start_mib": round(start_mib, 1),
        "peak_mib": round(peak, 1),
    }


def _dense_steps(task: Task) -> list[float]:
    """Seconds of each of some training steps of the dense network, the first ones left out."""
    network, loss_func = task.network(), task.loss()
    optimizer = task.optimizer(network, loss_func)
    images = task.example(task.recipe.batch_size)
    labels = task.train.labels[: len(images)].to(task.device)
    seconds = []
    for _ in range(2 + STEPS):
        start = now(task.device)
        optimizer.zero_grad()
        loss_func(network(images), labels).backward()
        optimizer.step()
        seconds.append(now(task.device) - start)
    return seconds[2:]
