"""The space id of anything: of a file, a folder or a repository."""

from __future__ import annotations

import os
from pathlib import Path

from huggingface_hub import hf_hub_download

from prunnet_pml.hub.advice import advice
from prunnet_pml.hub.fields import read_json
from prunnet_pml.hub.layout import CONFIG, DENSE
from prunnet_pml.hub.manifest import BLOCK, Manifest
from prunnet_pml.hub.origin import locate
from prunnet_pml.space_of_file import read_space_id


def read_source_space_id(source: str | os.PathLike[str], *, revision: str | None = None) -> str:
    """The space id of a checkpoint: embeddings compare only where it is the same.

    Args:
        source: A file that :func:`prunnet_pml.read_space_id` reads, or what
            :func:`prunnet_pml.hub.download` takes; folders of pruned networks
            (:func:`prunnet_pml.hub.save_plain`) too. Of a repository one small file is read.
        revision: Of a repository.

    Raises:
        ValueError: If it has no space id, or several.
        FileNotFoundError: If it is not there.
        huggingface_hub.errors.HfHubHTTPError: As :func:`prunnet_pml.hub.download`.
    """
    if Path(source).is_file():
        return read_space_id(source)
    found = locate(source)
    if isinstance(found, str):
        with advice(found, revision):
            folder = Path(hf_hub_download(found, CONFIG, revision=revision)).parent
        return Manifest.read(folder).space_id
    if BLOCK not in read_json(found / CONFIG) and (found / DENSE).is_file():
        return read_space_id(found / DENSE)
    return Manifest.read(found).space_id
