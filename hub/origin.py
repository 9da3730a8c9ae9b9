"""Where the files of a checkpoint come from: the Hub, or a folder of this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download

from prunnet_pml.evaluation.writing import replacing, write_text
from prunnet_pml.hub.advice import advice
from prunnet_pml.hub.catalogue import catalogue, find_entry

SOURCE = "prunnet/source.json"
"""Where a downloaded folder remembers what it is a part of."""


def locate(source: str | os.PathLike[str]) -> Path | str:
    """What a source is: a folder of this machine, or else the name of a repository of the Hub.

    Args:
        source: A folder; a name in the catalogue, whose folder came with the package; or a
            repository, ``"owner/name"``. The first that fits.

    Raises:
        FileNotFoundError: If it is a ``Path`` where there is no folder.
        ValueError: If it can be none of them.
    """
    if not isinstance(source, str | os.PathLike):
        raise ValueError(f"`source` should be a folder or a repository. Found {source!r}.")
    if source != "" and Path(source).is_dir():
        return Path(source)
    if isinstance(source, Path):
        raise FileNotFoundError(f"`source` should be a folder or a repository. Found no {source}.")
    name = os.fspath(source)
    if (entry := find_entry(name)) is not None:
        return entry.folder
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", name):
        names = ", ".join(entry.name for entry in catalogue())
        raise ValueError(
            f"`source` should be a folder, a repository 'owner/name', or one of {names}. "
            f"Found {name!r}."
        )
    return name


@dataclass(frozen=True)
class Repository:
    """A commit of a repository of the Hub."""

    repo_id: str
    commit: str

    @property
    def where(self) -> str:
        """What errors call it."""
        return f"{self.repo_id} at {self.commit}"

    def bring(self, names: Iterable[str], folder: Path | None, token: str | bool | None) -> None:
        """Brings files into a folder, or the cache; those there whole are not asked for."""
        with advice(self.repo_id, self.commit):
            for name in names:
                hf_hub_download(
                    self.repo_id, name, revision=self.commit, local_dir=folder, token=token
                )


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, by its path, or by its name in the catalogue."""

    source: str

    @property
    def where(self) -> str:
        """What errors call it."""
        return self.source

    def bring(self, names: Iterable[str], folder: Path | None, _token: str | bool | None) -> None:
        """Copies files into a folder."""
        if folder is None:  # they are at hand
            return
        entry = find_entry(self.source)  # a folder of that name may be the one copied to
        here = Path(self.source) if entry is None else entry.folder
        for name in names:
            with replacing(folder / name) as temporary:
                shutil.copyfile(here / name, temporary)


def remember(origin: Repository | Folder, folder: Path) -> None:
    """Writes down where the files of a folder come from."""
    write_text(folder / SOURCE, json.dumps(asdict(origin)) + "\n")


def recall(folder: Path) -> Repository | Folder:
    """Where the files of a folder come from.

    Raises:
        ValueError: If it doesn't say so.
    """
    try:
        found = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
        kind = Folder if "source" in found else Repository
        return kind(**{key: str(value) for key, value in found.items()})
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            "`folder` should be one that `download(..., folder=...)` made. Found no repository and "
            f"commit in {folder / SOURCE}: download it again."
        ) from error
