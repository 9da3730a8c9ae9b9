"""One check before anything is read: is all there, and if not, what is missing and where from."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


def check_files(files: Iterable[str | Path], name: str, source: str) -> None:
    """Raises an error if files are missing; each folder is listed once, none is opened.

    Args:
        files: Every file that is needed.
        name: What the data set is called.
        source: Where it is to be had, and under which licence.

    Raises:
        FileNotFoundError: If one is missing: names the first of them, how many, and the source.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for file in files:  # millions, maybe: cheaper as text than as paths
        folder, entry = os.path.split(file)
        folders[folder or os.curdir].append(entry)
    missing: list[str] = []
    for folder, needed in folders.items():
        listing = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        missing += [os.path.join(folder, entry) for entry in needed if entry not in listing]
    if missing:
        total = sum(map(len, folders.values()))
        more = f" and {len(missing) - 1} more of {total} files" if len(missing) > 1 else ""
        raise FileNotFoundError(
            f"{name} is not complete: {missing[0]}{more} not found. It is not downloaded for you. "
            f"Source: {source}"
        )


def first_of(*files: Path) -> Path:
    """The first that exists, for releases that unpack in more than one way; else the first."""
    return next((file for file in files if file.exists()), files[0])
