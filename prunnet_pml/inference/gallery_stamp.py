"""What an index holds, so that nothing that does not compare is looked up in it.

The stamp is the last line of the index's own file, as JSON. faiss reads up to where its data end,
so stock ``faiss.read_index`` still opens the file; and a file that was cut short has no stamp.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from prunnet_pml.masks import check_capacities
from prunnet_pml.space import check_space_id

_KEY = "prunnet_gallery"
_LONGEST = 1 << 16
"""Bytes at the end of a file among which the stamp is looked for."""


@dataclass(frozen=True)
class GalleryStamp:
    """What the embeddings in an index are.

    Attributes:
        space_id: The space that they are in.
        capacities: The capacities that they were embedded at, largest first.
        normalized: Whether they were divided by their Euclidean norm.
        dimension: Their size.
    """

    space_id: str
    capacities: tuple[float, ...]
    normalized: bool
    dimension: int

    def __post_init__(self) -> None:
        check_space_id(self.space_id)
        capacities = check_capacities(self.capacities, dense=True)
        object.__setattr__(self, "capacities", capacities)

    def check(self, other: GalleryStamp) -> None:
        """Raises ValueError if embeddings of another stamp do not compare with these."""
        if other.space_id != self.space_id:
            raise ValueError(
                f"The network should embed into the gallery's space {self.space_id!r}. Found "
                f"{other.space_id!r}, another training run's."
            )
        if other.normalized != self.normalized:
            raise ValueError(
                f"`normalize_embeddings` should be {self.normalized}, as it was for the gallery. "
                f"Found {other.normalized}."
            )
        if other.dimension != self.dimension:
            raise ValueError(
                f"The network should return embeddings of the gallery's size {self.dimension}. "
                f"Found {other.dimension}."
            )

    def joined(self, other: GalleryStamp) -> GalleryStamp:
        """The stamp of these embeddings and others together; raises as ``check``."""
        self.check(other)
        return replace(self, capacities=(*{*self.capacities, *other.capacities},))

    def append_to(self, path: str | os.PathLike[str]) -> None:
        """Writes the stamp at the end of an index's file."""
        with open(path, "ab") as file:
            file.write(b"\n" + json.dumps({_KEY: asdict(self)}).encode() + b"\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> GalleryStamp:
        """The stamp at the end of an index's file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If there is no stamp in it.
        """
        with open(path, "rb") as file:
            file.seek(max(0, Path(path).stat().st_size - _LONGEST))
            last_line = file.read().removesuffix(b"\n").rpartition(b"\n")[2]
        try:
            fields = json.loads(last_line)[_KEY]
            return cls(**{**fields, "capacities": tuple(fields["capacities"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"`{path}` should be an index that AsymmetricInference saved. Found no stamp in it."
            ) from error
