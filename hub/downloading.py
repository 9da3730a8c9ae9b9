"""Downloads that fit the device: the files of one capacity; later only what another one adds."""

from __future__ import annotations

import json
import os
from pathlib import Path

from huggingface_hub import hf_hub_download

from prunnet_pml.evaluation.writing import write_text
from prunnet_pml.hub.advice import advice
from prunnet_pml.hub.layout import CONFIG
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.stored_file import sha256

SOURCE = "prunnet/source.json"
"""Where a downloaded folder remembers what it is a part of."""


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
        source: A repository of the Hub, ``"owner/name"``; a folder on this machine is returned as
            it is.
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
            scores, or there is a ``revision`` for a folder.
        huggingface_hub.errors.HfHubHTTPError: If the Hub refuses, in the client's own subclasses:
            ``RepositoryNotFoundError``, ``RevisionNotFoundError``, ``GatedRepoError``, ...
        huggingface_hub.errors.LocalEntryNotFoundError: If the Hub can't be reached and the cache
            lacks a file.
    """
    if Path(source).is_dir():
        if revision is not None:
            raise ValueError(f"`revision` should be None for a folder. Found {revision!r}.")
        return Path(source)
    if isinstance(source, Path):
        raise FileNotFoundError(f"`source` should be a folder or a repository. Found no {source}.")
    repo_id = os.fspath(source)
    with advice(repo_id, revision):
        config = Path(hf_hub_download(repo_id, CONFIG, revision=revision, token=token))
    commit = config.parent.name  # the cache has a folder for each commit
    names = Manifest.read(config.parent).files_for(capacity)
    if folder is None:
        _fetch(repo_id, commit, names, None, token)
        return config.parent
    folder = Path(folder)
    write_text(folder / SOURCE, json.dumps({"repo_id": repo_id, "commit": commit}) + "\n")
    _fetch(repo_id, commit, [CONFIG], folder, token)
    return upgrade(folder, capacity, token=token)


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
        huggingface_hub.errors.HfHubHTTPError: As :func:`download`.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    lacking = [
        name
        for name in manifest.files_for(capacity)
        if not (folder / name).is_file() or sha256(folder / name) != manifest.files[name].sha256
    ]
    if lacking:
        repo_id, commit = _origin(folder)
        for name in lacking:  # the client takes what it has once brought for what it brought
            (folder / name).unlink(missing_ok=True)
        _fetch(repo_id, commit, lacking, folder, token)
    return folder


def _fetch(
    repo_id: str, commit: str, names: list[str], folder: Path | None, token: str | bool | None
) -> None:
    """Brings files into a folder, or the cache; those that are there whole are not asked for."""
    with advice(repo_id, commit):
        for name in names:
            hf_hub_download(repo_id, name, revision=commit, local_dir=folder, token=token)


def _origin(folder: Path) -> tuple[str, str]:
    try:
        origin = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
        return str(origin["repo_id"]), str(origin["commit"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            "`folder` should be one that `download(..., folder=...)` made. Found no repository and "
            f"commit in {folder / SOURCE}: download it again."
        ) from error
