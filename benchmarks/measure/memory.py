"""Peak memory: of this process where a CPU computes, else what is allocated on the device."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import torch


def forget_peak(device: torch.device) -> float:
    """Lets the peak start anew from what is held now, and returns that in MiB."""
    if device.type != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**20
    with contextlib.suppress(OSError):  # the peak then counts from the start of the process
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def peak_mib(device: torch.device) -> float:
    """The most that was held since, in MiB."""
    if device.type != "cpu":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _memory("VmHWM")


def _memory(name: str) -> float:
    """A line of the kernel's account of this process, in MiB; 0 where there is none."""
    status = Path("/proc/self/status")
    text = status.read_text() if status.exists() else ""
    found = re.search(rf"{name}:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0.0
