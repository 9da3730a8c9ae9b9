"""What the study found, over the seeds that there are."""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import results
from prunnet_pml.evaluation import CompatibilityMatrix

RECALL, MAP = "recall_at_1", "mean_average_precision_at_r"


@dataclass(frozen=True)
class Runs:
    """The runs of one method on one task, one a seed.

    Attributes:
        documents: Their JSON.
        metric: Which one cells are of.
    """

    documents: list[dict[str, Any]]
    metric: str = RECALL

    @property
    def seeds(self) -> set[int]:
        """Those that were measured."""
        return {document["seed"] for document in self.documents}

    def of(self, seeds: Collection[int]) -> Runs:
        """The runs of some seeds."""
        found = [document for document in self.documents if document["seed"] in seeds]
        return replace(self, documents=found)

    def by(self, metric: str) -> Runs:
        """The same runs, their cells in another metric."""
        return replace(self, metric=metric)

    @cached_property
    def matrices(self) -> list[CompatibilityMatrix]:
        """Their matrices."""
        return [CompatibilityMatrix.from_json(json.dumps(d["matrix"])) for d in self.documents]

    @property
    def capacities(self) -> tuple[float, ...]:
        """What was measured, largest first."""
        return self.matrices[0].query_capacities

    def is_interpolated(self, capacity: float) -> bool:
        """Whether a capacity was read with norm statistics from between its trained neighbours."""
        settings = self.documents[0]["recipe"]["settings"]
        if settings.get("norms") not in ("own", "interpolated"):
            return False
        trained = settings["capacities"]
        owners = (1.0, *trained) if settings["norms"] == "own" else (1.0,)
        return capacity not in owners and capacity > min(trained)

    def cell(self, query: float, gallery: float) -> list[float]:
        """One cell of the matrix in percent, by seed; none if it was not measured."""
        if not {query, gallery} <= set(self.capacities):
            return []
        return [100 * matrix.value(self.metric, query, gallery) for matrix in self.matrices]

    def mean(self, query: float, gallery: float) -> float:
        """The same in the mean over the seeds."""
        return statistics.mean(self.cell(query, gallery))

    def member(self, capacity: float, name: str) -> float:
        """A number of one network, see :mod:`measure.members`; the median over the seeds."""
        found = [document["members"][f"{capacity:g}"][name] for document in self.documents]
        return float(statistics.median(found))

    def share(self, capacity: float, name: str) -> float:
        """The same in units of the dense network's."""
        return self.member(capacity, name) / self.member(1.0, name)

    @property
    def devices(self) -> set[str]:
        """What they ran on."""
        return {document.get("device", "cpu") for document in self.documents}

    @property
    def cost(self) -> float:
        """Of all trainings together, in trainings of the dense network; the median over seeds."""
        return statistics.median(
            sum(t["seconds"] / (t["steps"] * t["dense_step_s"]) for t in document["trainings"])
            for document in self.documents
        )

    @property
    def memory(self) -> float:
        """MiB that the hungriest training added to its process; the median over the seeds."""
        return statistics.median(
            max((t["peak_mib"] - t["start_mib"] for t in document["trainings"]), default=0.0)
            for document in self.documents
        )


def on_common_seeds(*methods: Runs) -> list[Runs]:
    """Only the runs of the seeds that all of the methods have: seeds differ as methods do."""
    seeds = set.intersection(*(runs.seeds for runs in methods))
    return [runs.of(seeds) for runs in methods]


def read_study(name: str = "study") -> dict[str, dict[str, Runs]]:
    """Task -> method -> runs, for all results that there are.

    Args:
        name: Of their folder.

    Raises:
        ValueError: If results of one task were made with different budgets or kinds of device, or
            those of one method with different settings.
    """
    study: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for file in sorted((results.FOLDER / name).glob("*/*.json")):
        document = results.read_result(file)
        methods = study.setdefault(document["data"], {})
        methods.setdefault(document["method"], []).append(document)
    for data, methods in study.items():
        budgets = {json.dumps(_budget(d)) for documents in methods.values() for d in documents}
        if len(budgets) > 1:
            raise ValueError(f"Results of {data} should be of one budget. Found {budgets}.")
        for method, documents in methods.items():
            settings = {json.dumps(document["recipe"]["settings"]) for document in documents}
            if len(settings) > 1:
                raise ValueError(
                    f"Results of {method} on {data} should be of one recipe. Found {settings}."
                )
    return {
        data: {method: Runs(_by_seed(documents)) for method, documents in methods.items()}
        for data, methods in study.items()
    }


def _by_seed(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of their seeds, in which runs are paired: that of file names has 10 before 2."""
    return sorted(documents, key=lambda document: int(document["seed"]))


def _budget(document: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same of all that are compared, costs among it."""
    recipe = {k: v for k, v in document["recipe"].items() if k not in ("settings", "seed")}
    return {"device": document.get("device", "cpu"), **recipe}
