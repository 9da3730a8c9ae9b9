"""Keeps the trainings of a method with what they cost, so that none has to be done twice."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import prunnet_pml
from measure.cost import measured
from prunnet_pml.evaluation.writing import replacing
from tasks import Task


class TrainingBook:
    """Runs trainings and measures them; those that it has in its folder it reads instead.

    A training is the same if the task, its title and settings, the kind of device, and the
    library's source are. So an interrupted method goes on behind its last training, and the methods
    that begin with a dense network train it once. What a training cost is kept with it.

    Args:
        task: What is trained on.
        folder: Where to keep trainings; without it they are not kept.

    Attributes:
        costs: What every training of the method cost, see :func:`measure.cost.measured`.
    """

    def __init__(self, task: Task, folder: Path | None = None) -> None:
        self.task, self.folder = task, folder
        self.costs: list[dict[str, Any]] = []

    def train(
        self,
        title: str,
        modules: Mapping[str, nn.Module],
        run: Callable[[], None],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Trains some modules in place.

        Args:
            title: What it is, among the trainings with the same settings.
            modules: All that it changes, as they are before it.
            run: Trains them.
            settings: What it depends on beside the task.
        """
        kept = nn.ModuleDict(modules)
        file = self._file(title, settings or {})
        if found := self._read(file):
            kept.load_state_dict(found["state"])
            cost = found["cost"]
        else:
            cost = {"training": title, **measured(run, self.task)}
            if file is not None:
                with replacing(file) as temporary:
                    torch.save({"state": kept.state_dict(), "cost": cost}, temporary)
        self.costs.append(cost)

    def _read(self, file: Path | None) -> dict[str, Any]:
        """A training that was kept; none where its file is damaged, and is written anew."""
        if file is None or not file.exists():
            return {}
        try:
            found: dict[str, Any] = torch.load(
                file, weights_only=True, map_location=self.task.device
            )
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            warnings.warn(f"{file} can't be read, so that is trained anew: {error}", stacklevel=2)
            return {}
        return found

    def _file(self, title: str, settings: Mapping[str, Any]) -> Path | None:
        if self.folder is None:
            return None
        device = self.task.device.type
        key = [self.task.describe(), device, title, dict(settings), _source()]
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{digest[:24]}.pt"


def _source() -> str:
    """A digest of all that may change what a training comes to."""
    folder = Path(prunnet_pml.__file__).parent
    digest = hashlib.sha256()
    for part in ("*.py", "integration", "losses", "units", "datasets", "demo"):
        files = folder.glob(part) if part == "*.py" else folder.joinpath(part).rglob("*.py")
        for file in sorted(files):
            digest.update(file.read_bytes())
    return digest.hexdigest()
