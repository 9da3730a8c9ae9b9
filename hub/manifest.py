"""The manifest: what a checkpoint holds, and which of its files a capacity needs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunnet_pml.hub.errors import AGAIN, CheckpointError
from prunnet_pml.hub.fields import Fields, read_json
from prunnet_pml.hub.layout import CONFIG, DENSE, FORMATS, band_file, norms_of_band, scores_file
from prunnet_pml.hub.records import FileRecord, TensorRecord
from prunnet_pml.hub.unit_axes import UnitAxis, unit_axes
from prunnet_pml.hub.unit_records import parse_units, units_to_json
from prunnet_pml.masks import check_capacity
from prunnet_pml.units.groups import HiddenUnits

BLOCK = "prunnet"
"""The key of the manifest in ``config.json``; stock timm passes it over."""

PLAIN_BLOCK = "prunnet_pruned"
"""The key, instead, that says what a plain network was pruned from."""

PRECISIONS = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint holds.

    Attributes:
        space_id: The space that its networks embed into.
        precision: What weights are stored as: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        scores: What scores are stored as: ``"float32"``, ``"uint8"``, or None.
        capacities: Those of the bands, ascending; the last one is 1.
        trained_capacities: Those below 1 that took part in training, ascending.
        norm_capacities: Those that own norm statistics, ascending; the last one is 1.
        tensors: Every tensor of the plain network, by its name in the state dict.
        files: Every file but ``config.json``, by its name in the folder.
        units: The hidden units of granularity ``"channel"``.
    """

    space_id: str
    precision: str
    scores: str | None
    capacities: tuple[float, ...]
    trained_capacities: tuple[float, ...]
    norm_capacities: tuple[float, ...]
    tensors: Mapping[str, TensorRecord]
    files: Mapping[str, FileRecord]
    units: HiddenUnits | None = None

    @property
    def norm_owners(self) -> tuple[float, ...]:
        """``norm_capacities``; none where there are no norms."""
        has_norms = any(record.kind == "norm" for record in self.tensors.values())
        return self.norm_capacities if has_norms else ()

    @property
    def granularity(self) -> str:
        """What a capacity is a share of: ``"weight"`` or ``"channel"``."""
        return "channel" if self.units else "weight"

    @staticmethod
    def read(folder: str | os.PathLike[str]) -> Manifest:
        """The manifest of a checkpoint on disk.

        Raises:
            FileNotFoundError: If there is no such folder, or no ``config.json`` in it.
            CheckpointError: If that is damaged, or no manifest of this format.
        """
        file = Path(folder) / CONFIG
        return Manifest.parse(read_json(file), str(file))

    @staticmethod
    def parse(config: Mapping[str, Any], where: str = CONFIG) -> Manifest:
        """The manifest in what ``config.json`` holds; ``where`` is what errors call it."""
        if BLOCK not in config:
            found = (
                "a network that was pruned already: load it with timm, or ask for what it was "
                "pruned from."
                if PLAIN_BLOCK in config
                else "a checkpoint of a plain network: load it with timm, then make_prunable."
            )
            raise CheckpointError(
                f"{where} should have a {BLOCK!r} block, see save_pretrained. Found {found}"
            )
        block = Fields(config[BLOCK], f"{where}: {BLOCK!r}")
        if (version := block.whole("format")) not in FORMATS:
            raise CheckpointError(
                f"{where} should be of format {' or '.join(map(str, FORMATS))}. "
                f"Found format {version}: a newer prunnet_pml may read it."
            )
        if block.text("checksum") != _checksum(block.values):
            raise CheckpointError(
                f"{where}: the {BLOCK!r} block should be as it was saved. Found another. {AGAIN}"
            )
        units = parse_units(block.nested("units")) if FORMATS[version] == "channel" else None
        manifest = Manifest(
            space_id=block.text("space_id"),
            precision=block.one_of("precision", PRECISIONS),
            scores=block.one_of("scores", ("float32",) if units else ("float32", "uint8", None)),
            capacities=block.capacities("capacities", dense=True),
            trained_capacities=block.capacities("trained_capacities", dense=False),
            norm_capacities=block.capacities("norm_capacities", dense=True),
            tensors={
                name: TensorRecord.parse(found) for name, found in block.objects("tensors").items()
            },
            files={name: FileRecord.parse(found) for name, found in block.objects("files").items()},
            units=units,
        )
        try:
            manifest._check_kinds()
        except ValueError as error:
            raise CheckpointError(f"{where}: `units` should fit `tensors`: {error}.") from error
        expected = {*manifest._all_files()}
        if not expected <= manifest.files.keys() <= {*expected, DENSE}:
            raise CheckpointError(
                f"{where}: `files` should be {sorted(expected)}. Found {sorted(manifest.files)}."
            )
        return manifest

    def to_json(self) -> dict[str, Any]:
        """What :meth:`parse` parses."""
        block = {
            "format": next(v for v, kind in FORMATS.items() if kind == self.granularity),
            "space_id": self.space_id,
            "precision": self.precision,
            "scores": self.scores,
            "capacities": [*self.capacities],
            "trained_capacities": [*self.trained_capacities],
            "norm_capacities": [*self.norm_capacities],
            "files": {name: record.to_json() for name, record in self.files.items()},
            "tensors": {name: record.to_json() for name, record in self.tensors.items()},
            **({"units": units_to_json(self.units)} if self.units else {}),
        }
        return {**block, "checksum": _checksum(block)}

    def files_for(self, capacity: float | None) -> list[str]:
        """The files, beside ``config.json``, that ``from_pretrained`` reads for a capacity.

        Args:
            capacity: In (0, 1], or None for the prunable network with its scores.

        Raises:
            ValueError: If ``capacity`` is out of range, or needs scores and there are none.
        """
        bands = self.bands_for(capacity)
        files = [band_file(band) for band in bands]
        if self.units:  # their scores are in the first band
            return files
        if capacity is None:
            self._check_scores("None, the prunable network,")
            return files + [scores_file(band) for band in bands]
        if check_capacity(capacity) != bands[-1]:
            self._check_scores(f"{capacity:g}")
            files.append(scores_file(bands[-1]))
        return files

    def bands_for(self, capacity: float | None) -> list[float]:
        """The capacities of the bands that hold what a capacity keeps; None for all."""
        wanted = 1.0 if capacity is None else check_capacity(capacity)
        last = min(band for band in self.capacities if band >= wanted)
        return [band for band in self.capacities if band <= last]

    def unit_axes(self) -> dict[str, dict[int, UnitAxis]]:
        """The axes that hidden units lie along, by the name of a tensor."""
        shapes = {name: record.shape for name, record in self.tensors.items()}
        return unit_axes(self.units.groups, shapes) if self.units else {}

    def norms_of(self, band: float) -> list[float]:
        """The capacities whose norm statistics come with a band."""
        return norms_of_band(band, self.capacities, self.norm_capacities)

    def bytes_for(self, capacity: float | None) -> int:
        """The size of :meth:`files_for`, in bytes."""
        return sum(self.files[name].size for name in self.files_for(capacity))

    def missing(self, folder: str | os.PathLike[str], capacity: float | None) -> list[str]:
        """Those of :meth:`files_for` that a folder lacks, or holds otherwise, by their SHA-256."""
        return [
            name
            for name in self.files_for(capacity)
            if not self.files[name].is_at(Path(folder) / name)
        ]

    def _all_files(self) -> list[str]:
        return self.files_for(None if self.scores else 1.0)

    def _check_kinds(self) -> None:
        """Raises ValueError where a tensor is of another kind than the units say."""
        axes = self.unit_axes()
        for name, record in self.tensors.items():
            if (record.kind == "cut") != (name in axes and record.kind != "norm"):
                raise ValueError(f"`{name}` is {record.kind}")
            if record.kind == "scored" and self.units:
                raise ValueError(f"`{name}` is scored")

    def _check_scores(self, wanted: str) -> None:
        if self.scores is None:
            stored = ", ".join(f"{capacity:g}" for capacity in self.capacities)
            raise ValueError(
                f"`capacity` should be one of {stored}: the checkpoint has no scores to tell "
                f"others. Found {wanted.rstrip(',')}."
            )


def is_same_checkpoint(one: Path, other: Path) -> bool:
    """Whether two folders with a ``config.json`` hold the same: it has the hash of every file."""
    return (one / CONFIG).read_bytes() == (other / CONFIG).read_bytes()


def _checksum(block: Mapping[str, Any]) -> str:
    """SHA-256 of the block without its checksum: keys sorted, no spaces, ASCII."""
    others = {key: value for key, value in block.items() if key != "checksum"}
    text = json.dumps(others, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
