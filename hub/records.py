"""What a manifest says of one tensor and of one file."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.fields import Fields

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
"""What tensors may be of, by the manifest's name for it."""

Kind = Literal["scored", "cut", "norm", "plain"]


@dataclass(frozen=True)
class TensorRecord:
    """A tensor of the plain network.

    Attributes:
        kind: Of ``"scored"`` tensors every band holds some weights, of ``"cut"`` ones some units;
            ``"norm"`` ones (norm statistics) come once per capacity, ``"plain"`` ones with the
            first band.
        shape: Its shape.
        dtype: What it is stored as.
        scores: The name of its scores in the prunable network, if it is scored.
    """

    kind: Kind
    shape: tuple[int, ...]
    dtype: torch.dtype
    scores: str | None = None

    @staticmethod
    def parse(found: Fields) -> TensorRecord:
        """The record in a manifest; raises CheckpointError if it is none."""
        kind = found.one_of("kind", ("scored", "cut", "norm", "plain"))
        shape = found.shape("shape")
        dtype = DTYPES[found.one_of("dtype", DTYPES)]
        if kind in ("scored", "cut") and not (dtype.is_floating_point and math.prod(shape) > 0):
            raise CheckpointError(
                f"{found.where} should be {kind} numbers. Found {dtype}, {shape}."
            )
        return TensorRecord(kind, shape, dtype, found.text("scores") if kind == "scored" else None)

    def to_json(self) -> dict[str, Any]:
        """What :meth:`parse` parses."""
        return {
            "kind": self.kind,
            "shape": [*self.shape],
            "dtype": str(self.dtype).removeprefix("torch."),
            **({"scores": self.scores} if self.scores else {}),
        }


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and SHA-256 of a file."""

    size: int
    sha256: str

    @staticmethod
    def parse(found: Fields) -> FileRecord:
        """The record in a manifest; raises CheckpointError if it is none."""
        return FileRecord(found.whole("bytes"), found.text("sha256"))

    def to_json(self) -> dict[str, Any]:
        """What :meth:`parse` parses."""
        return {"bytes": self.size, "sha256": self.sha256}

    def is_at(self, path: Path) -> bool:
        """Whether the file lies there, whole."""
        return path.is_file() and path.stat().st_size == self.size and sha256(path) == self.sha256


def sha256(file: Path) -> str:
    """The SHA-256 of a file, read piece by piece."""
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
