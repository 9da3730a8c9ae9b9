"""From the catalogue to a repository of the Hub."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from huggingface_hub import CommitInfo

from prunnet_pml.hub.card import write_card
from prunnet_pml.hub.card_text import EVALUATION
from prunnet_pml.hub.catalogue import LICENCE, entry_of
from prunnet_pml.hub.loading import from_pretrained
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.pushing import push_to_hub
from prunnet_pml.hub.saving import save_pretrained


def publish(
    name: str,
    repo_id: str,
    *,
    private: bool = False,
    tag: str | None = None,
    token: str | bool | None = None,
) -> CommitInfo:
    """Pushes a checkpoint of the catalogue to a repository of one's own.

    The package holds its bands alone; with them goes the dense network, ``model.safetensors``,
    which is for stock timm, and a card in the repository's name.

    Args:
        name: Of the catalogue.
        repo_id: The repository, ``"owner/name"``; made if missing.
        private: As in :func:`prunnet_pml.hub.push_to_hub`.
        tag: As there.
        token: As there.

    Returns:
        The commit.

    Raises:
        ValueError: If the catalogue has no such name, or as ``push_to_hub``.
        huggingface_hub.errors.HfHubHTTPError: As ``push_to_hub``.
    """
    entry = entry_of(name)
    saved = Manifest.read(entry.folder)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "network")
        save_pretrained(
            from_pretrained(entry.folder),
            folder,
            capacities=saved.capacities,
            precision=saved.precision,
            scores=saved.scores,
        )
        write_card(
            folder,
            entry.folder / EVALUATION,
            name=repo_id,
            license=entry.licence,
            data=entry.data,
            recipe=entry.recipe,
        )
        if (entry.folder / LICENCE).is_file():
            shutil.copy(entry.folder / LICENCE, folder)
        return push_to_hub(folder, repo_id, private=private, tag=tag, token=token)
