"""Downloads that fit the device: the files of one capacity; later only what another one adds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import hf_hub_download

from prunnet_pml.hub.advice import advice
from prunnet_pml.hub.card_text import EVALUATION
from prunnet_pml.hub.catalogue import CHECKPOINTS
from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.layout import CONFIG, DENSE, FOLDER
from prunnet_pml.hub.manifest import BLOCK, Manifest, is_same_checkpoint
from prunnet_pml.hub.origin import SOURCE, Folder, Repository, locate, recall, remember
from prunnet_pml.hub.replacing import check_replaceable
from prunnet_pml.masks import check_capacity


def download(
    source: str | os.PathLike[str],
    capacity: float | None = None,
    *,
    revision: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> Path:
    """Downloads the files that one capacity needs, and no others.

    What has arrived whole is never sent again: not for another capacity, nor after a connection was
    cut. With ``HF_HUB_OFFLINE=1`` nothing is asked, and what is in the cache is found there.

    Args:
        source: A repository of the Hub, ``"owner/name"``, a name in the catalogue, or a folder on
            this machine; without a ``folder`` to copy to, these two are returned as they are. A
            folder that is its own ``folder`` is upgraded.
        capacity: The capacity to run the network at. None: what the prunable network needs.
        revision: A branch, a tag or a commit; the newest commit of ``main`` by default.
        folder: Where to put the files, and to :func:`upgrade` them later; by default the cache of
            the Hub's client.
        token: For private repositories; by default the one of ``hf auth login`` or ``HF_TOKEN``.

    Returns:
        The folder with the files, for :func:`prunnet_pml.hub.from_pretrained`.

    Raises:
        FileNotFoundError: If ``source`` is a ``Path`` where there is no folder.
        ValueError: If ``capacity`` is out of range, or between those that were saved without
            scores, there is a ``revision`` for a folder, or ``folder`` holds something else, such
            as a checkpoint that was saved there. (An earlier download is replaced.)
        CheckpointError: If ``source`` holds a damaged file.
        huggingface_hub.errors.HfHubHTTPError: If the Hub refuses, in the client's own subclasses:
            ``RepositoryNotFoundError``, ``RevisionNotFoundError``, ``GatedRepoError``, ...
        huggingface_hub.errors.LocalEntryNotFoundError: If the Hub can't be reached and the cache
            lacks a file.
    """
    if capacity is not None:
        capacity = check_capacity(capacity)
    origin: Repository | Folder
    found = locate(source)
    if isinstance(found, Path):
        if revision is not None:
            raise ValueError(
                f"`revision` should be None for a folder. Found {revision!r}, and the folder "
                f"{found}, which comes before a repository of that name."
            )
        if folder is None:
            return found
        if Path(folder).resolve() == found.resolve():
            return upgrade(found, capacity, token=token)
        origin = Folder(found.name if found.parent == CHECKPOINTS else str(found.resolve()))
        there = found
    else:
        with advice(found, revision):
            config = Path(hf_hub_download(found, CONFIG, revision=revision, token=token))
        there = config.parent
        origin = Repository(found, commit=there.name)  # the cache has a folder for each
    files = Manifest.read(there).files_for(capacity)  # raises if this is no checkpoint
    if folder is None:
        origin.bring(files, None, token)
        return there
    folder = Path(folder)
    if not (folder / SOURCE).is_file():  # which a download that was given up leaves
        check_replaceable(folder, BLOCK)
        if _is_there(folder, there, capacity):
            return folder
    elif _is_another(folder, there):
        with _replacing_download(folder) as new:
            download(source, capacity, revision=revision, folder=new, token=token)
        return folder
    remember(origin, folder)
    origin.bring([CONFIG], folder, token)
    return upgrade(folder, capacity, token=token)


def _is_another(folder: Path, wanted: Path) -> bool:
    """Whether a folder holds a checkpoint, and not the one that is wanted."""
    return (folder / CONFIG).is_file() and not is_same_checkpoint(folder, wanted)


def _is_there(folder: Path, wanted: Path, capacity: float | None) -> bool:
    """Whether what is to be downloaded was saved in the folder.

    Raises:
        ValueError: If another checkpoint was.
    """
    if _is_another(folder, wanted):
        raise ValueError(
            "`folder` should be new, empty, or hold what is downloaded. Found another checkpoint "
            f"in {folder}, which was saved there."
        )
    return (folder / CONFIG).is_file() and not Manifest.read(folder).missing(folder, capacity)


@contextmanager
def _replacing_download(folder: Path) -> Iterator[Path]:
    """A folder for what takes the place of an earlier download, once it has arrived."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as name:  # on the same disk
        new = Path(name, folder.name)
        yield new
        for file in (folder / DENSE, folder / EVALUATION, *(folder / FOLDER).glob("*.safetensors")):
            file.unlink(missing_ok=True)
        for file in [file for file in new.rglob("*") if file.is_file()]:
            target = folder / file.relative_to(new)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)


def upgrade(
    folder: str | os.PathLike[str],
    capacity: float | None = None,
    *,
    token: str | bool | None = None,
) -> Path:
    """Downloads what a folder lacks for a larger capacity, from the commit that it came from.

    Files that are not what the manifest says, by their SHA-256, are replaced.

    Args:
        folder: What :func:`download` made, with ``folder`` given.
        capacity: The capacity to run at from now on. None: what the prunable network needs.
        token: As in :func:`download`.

    Returns:
        The same folder.

    Raises:
        ValueError: If the folder doesn't say where it came from; else as :func:`download`.
        CheckpointError: If a file where it came from is damaged, or of another network by now.
        huggingface_hub.errors.HfHubHTTPError: As :func:`download`.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    if lacking := manifest.missing(folder, capacity):
        origin = recall(folder)
        _delete(lacking, folder)  # the client takes what it has once brought for what it brought
        origin.bring(lacking, folder, token)
        if wrong := manifest.missing(folder, capacity):
            _delete(wrong, folder)
            raise CheckpointError(
                f"{origin.where} should hold what {folder} is a part of. Found another "
                f"{', '.join(wrong)}: a damaged one, or that of a network which was saved there "
                "since, and which `download` puts in the place of this one."
            )
    return folder


def _delete(names: list[str], folder: Path) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
