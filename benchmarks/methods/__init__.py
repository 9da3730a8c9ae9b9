"""The methods that PrunNet is compared with, each a few lines on the library's parts.

A method is a function of a :class:`~methods.task.Task` (data, backbone, budget) that returns a
family: a trained network for every capacity. All of them train on the same batches with the same
optimizer and schedule.
"""

from collections.abc import Callable

from methods.prunable import (
    joint,
    magnitude_pruning,
    prunnet_authors_code,
    prunnet_default,
    prunnet_published,
)
from methods.separate import asymmetric, bct_per_size, independent
from methods.sfsc import sfsc
from methods.task import Family, Task

METHODS: dict[str, Callable[[Task], Family]] = {
    "independent": independent,
    "magnitude-pruning": magnitude_pruning,
    "joint": joint,
    "bct-per-size": bct_per_size,
    "asymmetric": asymmetric,
    "sfsc": sfsc,
    "prunnet-published": prunnet_published,
    "prunnet-authors-code": prunnet_authors_code,
    "prunnet-default": prunnet_default,
}
"""Every method by the name that the command knows it by."""

__all__ = ["METHODS", "Family", "Task"]
