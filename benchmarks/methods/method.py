"""What a method is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import nn

from measure import TrainingBook
from tasks import Task

Family: TypeAlias = dict[float, nn.Module]
"""A trained network in eval mode for every capacity, 1.0 first."""


@dataclass(frozen=True)
class Method:
    """A way to get a family of networks.

    Attributes:
        train: Returns the family that a task's trainings, done in the book, come to.
        summary: What it is, in a line.
        settings: What it does otherwise than others of its kind, as JSON; a result whose settings
            are others is out of date.
    """

    train: Callable[[Task, TrainingBook], Family]
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)
