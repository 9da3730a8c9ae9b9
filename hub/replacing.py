"""Folders that are either the old ones or the new ones: written beside, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prunnet_pml.hub.card_text import EVALUATION
from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.fields import read_json
from prunnet_pml.hub.layout import CONFIG, DENSE, FOLDER
from prunnet_pml.hub.manifest import BLOCK, is_same_checkpoint
from prunnet_pml.user_warning import warn_user


@contextmanager
def replacing_folder(folder: Path, block: str = BLOCK) -> Iterator[Path]:
    """A temporary folder beside ``folder``, which it replaces at the end; on an error it is gone.

    ``block`` is the key in its ``config.json`` by which a folder is known as one to replace.

    What else lies in the old checkpoint, such as a card or a ``.git``, comes along, but what was
    measured of another network stays behind, with a warning about the card. Whoever is killed
    between two renames leaves the old folder as ``.<name>-saving-...-before``, complete.

    Raises:
        ValueError: If ``folder`` is a file, holds something but no checkpoint of ours, or is one
            that can't be renamed: a mount point, the current directory or one around it.
    """
    folder = Path(os.path.abspath(folder))
    check_replaceable(folder, block)
    _check_renamable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}-saving-", dir=folder.parent, ignore_cleanup_errors=True
    ) as name:
        new, before = Path(name) / folder.name, Path(f"{name}-before")
        new.mkdir()
        yield new
        if not folder.exists():
            new.rename(folder)
            return
        _bring_along(folder, new)
        shutil.copystat(folder, new)
        folder.rename(before)
        try:
            new.rename(folder)
        except OSError:
            before.rename(folder)
            raise
    shutil.rmtree(before, ignore_errors=True)


def check_replaceable(folder: Path, block: str) -> None:
    """Raises ValueError where something lies that is no checkpoint with this key."""
    if folder.is_symlink():
        raise ValueError(
            f"`folder` should be a folder itself. Found the link {folder}: give {folder.resolve()}."
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`folder` should be a folder. Found {folder}, which is none.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        ours = block in read_json(folder / CONFIG)
    except (CheckpointError, FileNotFoundError):
        ours = False
    if not ours:
        raise ValueError(
            f"`folder` should be new, empty, or a checkpoint of the same kind to replace. "
            f"Found {folder} with other files in it."
        )


def _check_renamable(folder: Path) -> None:
    if os.path.ismount(folder):
        what = "which is a mount point"
    elif folder.exists() and _is_in(folder):
        what = "in which this process runs"
    else:
        return
    raise ValueError(
        "`folder` should be one that another can take the place of. Found "
        f"{folder}, {what}: give a folder inside of it."
    )


def _is_in(folder: Path) -> bool:
    """Whether this process runs in a folder, or further inside."""
    try:
        return Path.cwd().is_relative_to(folder.resolve())
    except FileNotFoundError:  # it runs in one that was deleted
        return False


def _bring_along(old: Path, new: Path) -> None:
    """Links what isn't ours into the new folder, so that it costs no disk; or copies it."""
    for entry in old.iterdir():
        if entry.name in (CONFIG, DENSE, FOLDER):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True, copy_function=_link)
        else:
            _link(entry, new / entry.name)
    measured = new / EVALUATION
    if measured.parent.is_symlink() or not measured.exists():
        return
    if not is_same_checkpoint(old, new):
        measured.unlink()
        warn_user(
            f"{EVALUATION} was measured of the network that this one replaces, and is left out. "
            "README.md, if it is write_card's, still shows it: call write_card anew."
        )


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target, follow_symlinks=False)
