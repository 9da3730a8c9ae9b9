"""Time of a device: what a measurement starts and stops by."""

from __future__ import annotations

import time

import torch


def seconds(device: torch.device) -> float:
    """Seconds until now, from some start.

    On a CPU those of this process, which others disturb less than the clock's. Elsewhere those of
    the clock, once the device has done all that it was asked for.
    """
    if device.type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize(device)
    return time.perf_counter()


def device_name(device: torch.device) -> str:
    """What a device calls itself: times are of this one."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
