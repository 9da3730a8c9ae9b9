"""From a network or a folder to a repository of the Hub, in one commit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
)
from torch import nn

from prunnet_pml.hub.advice import advice
from prunnet_pml.hub.card import CARD, make_card
from prunnet_pml.hub.card_text import EVALUATION
from prunnet_pml.hub.layout import CONFIG, DENSE, FOLDER
from prunnet_pml.hub.manifest import Manifest, is_same_checkpoint
from prunnet_pml.hub.origin import SOURCE
from prunnet_pml.hub.saving import save_pretrained
from prunnet_pml.user_warning import warn_user

_OWNED = (f"{FOLDER}/", DENSE)  # what a push replaces as a whole


def push_to_hub(
    source: nn.Module | str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    tag: str | None = None,
    commit_message: str | None = None,
    token: str | bool | None = None,
    **save: Any,  # noqa: ANN401
) -> CommitInfo:
    """Pushes a prunable network to the Hub; the repository and the branch are made if missing.

    Everything arrives in one commit: whoever downloads meanwhile gets the old network or the new
    one. A repository without a model card gets one; a card that is there stays, unless the folder
    brings another: see :func:`prunnet_pml.hub.write_card`. Of an evaluation that is there, of
    another network, the numbers are deleted (``evaluation/matrix.json``).

    Args:
        source: A prunable network, or a folder of :func:`prunnet_pml.hub.save_pretrained`.
        repo_id: The repository, ``"owner/name"``.
        private: Whether a repository that is made now is private.
        revision: The branch; ``main`` by default.
        tag: A new name for the commit, such as ``"v1.0"``, to download it by.
        commit_message: The title of the commit.
        token: One that may write; by default the one of ``hf auth login`` or ``HF_TOKEN``.
        **save: Arguments of :func:`prunnet_pml.hub.save_pretrained`, where ``source`` is a network.

    Returns:
        The commit, with its ``oid`` and ``commit_url``.

    Raises:
        ValueError: If ``source`` is no prunable network and no folder of one, or a folder that
            lacks files of its manifest, as a download does; if ``tag`` is taken,
            ``private`` is asked of a repository that is public, or the Hub finds fault with the
            metadata of the card.
        huggingface_hub.errors.HfHubHTTPError: If the Hub refuses, in the client's own subclasses.
    """
    if isinstance(source, nn.Module):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made, "network")
            save_pretrained(source, folder, **save)
            return _push(folder, repo_id, private, revision, tag, commit_message, token)
    if not isinstance(source, str | os.PathLike):
        raise ValueError(f"`source` should be a network or a folder. Found {source!r}.")
    if save:
        raise ValueError(
            f"`source` should be a network, to be saved by {sorted(save)}. Found a folder."
        )
    return _push(Path(source), repo_id, private, revision, tag, commit_message, token)


def _push(
    folder: Path,
    repo_id: str,
    private: bool,
    revision: str | None,
    tag: str | None,
    commit_message: str | None,
    token: str | bool | None,
) -> CommitInfo:
    _check_whole(folder)
    api = HfApi(token=token)
    with advice(repo_id, revision):
        api.create_repo(repo_id, private=private, exist_ok=True)
        _check_free(api, repo_id, private, tag)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        there = set(api.list_repo_files(repo_id, revision=revision))
        files = _files(folder)
        added = [CommitOperationAdd(name, path) for name, path in files.items()]
        if CARD not in files and CARD not in there:
            added.append(CommitOperationAdd(CARD, str(make_card(folder, name=repo_id)).encode()))
        stale = [name for name in there - files.keys() if name.startswith(_OWNED)]
        if {EVALUATION, CONFIG} <= there and EVALUATION not in files:
            old = Path(hf_hub_download(repo_id, CONFIG, revision=revision, token=token)).parent
            if not is_same_checkpoint(old, folder):
                stale.append(EVALUATION)
                warn_user(
                    f"{EVALUATION} of {repo_id!r} was measured of the network that this one "
                    f"replaces, and is deleted. {CARD} stays: write_card makes another."
                )
        commit = api.create_commit(
            repo_id,
            [*added, *map(CommitOperationDelete, sorted(stale))],
            commit_message=commit_message or "Push with prunnet_pml",
            revision=revision,
        )
        if tag is not None:
            api.create_tag(repo_id, tag=tag, revision=commit.oid)
    return commit


def _check_whole(folder: Path) -> None:
    """What a folder lacks, as every download does, a push would delete from the Hub."""
    manifest = Manifest.read(folder)  # raises if this is no such folder
    lacking = [name for name, file in manifest.files.items() if not file.is_at(folder / name)]
    if lacking:
        raise ValueError(
            f"`source` should hold every file of its manifest. Found {len(lacking)} missing or "
            f"changed in {folder} (`{lacking[0]}`, ...): a download is no copy of its repository. "
            "Push what from_pretrained(repository) loads."
        )


def _check_free(api: HfApi, repo_id: str, private: bool, tag: str | None) -> None:
    """Looks before anything is sent."""
    if private and not api.model_info(repo_id).private:
        raise ValueError(
            f"`private` should be False for a repository that is public. Found {repo_id!r}: make "
            "it private in its settings first."
        )
    if tag is not None and tag in {ref.name for ref in api.list_repo_refs(repo_id).tags}:
        raise ValueError(
            f"`tag` should be a new one, tags don't move. Found {tag!r} in {repo_id!r} already."
        )


def _files(folder: Path) -> dict[str, Path]:
    """Every file that is meant for others, by its name in the repository."""
    found = {p.relative_to(folder): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {
        name.as_posix(): path
        for name, path in found.items()
        if name.as_posix() != SOURCE and not any(part.startswith(".") for part in name.parts)
    }
