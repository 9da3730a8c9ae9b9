"""What a checkpoint is, before its weights are asked for."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.hub.advice import advice
from prunnet_pml.hub.card import CARD
from prunnet_pml.hub.card_text import EVALUATION
from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.fields import read_json
from prunnet_pml.hub.layout import CONFIG
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.origin import locate

_TRAINING = re.compile(r"^## Training\n+(.*?)\s*(?=^## |\Z)", re.MULTILINE | re.DOTALL)

_LARGEST_CARD = 1 << 20
_METRIC = "recall_at_1"


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself.

    Attributes:
        architecture: timm's name of the network; None for a hand-written one.
        manifest: Space id, precision, capacities, and what each of them needs.
        evaluation: What was measured, where the checkpoint brings it.
        licence: The Hub's identifier, where its card has one.
        training: What its card says of data and recipe, in Markdown.
    """

    architecture: str | None
    manifest: Manifest
    evaluation: CompatibilityMatrix | None
    licence: str | None
    training: str | None

    @property
    def metric(self) -> str:
        """The metric of the headline: R@1, or the first that was measured."""
        measured = {} if self.evaluation is None else self.evaluation.values
        return next(iter(measured)) if measured and _METRIC not in measured else _METRIC

    @property
    def headline(self) -> dict[float, float]:
        """What queries at each capacity find in the dense network's gallery, in [0, 1].

        Of the capacities that were both saved and measured; empty if nothing was.
        """
        matrix = self.evaluation
        if matrix is None or 1.0 not in matrix.gallery_capacities:
            return {}
        found = matrix.cross_test(self.metric)
        return {c: found[c] for c in self.manifest.capacities if c in found}


def describe(
    source: str | os.PathLike[str], *, revision: str | None = None, token: str | bool | None = None
) -> Description:
    """Reads, of the Hub or of a folder, what says what a checkpoint is; no weights.

    Args:
        source: As in :func:`prunnet_pml.hub.download`.
        revision: As there.
        token: As there.

    Raises:
        CheckpointError: If the source holds no checkpoint of ours, or a damaged one.
        FileNotFoundError: If a folder holds no ``config.json``.
        huggingface_hub.errors.HfHubHTTPError: As :func:`prunnet_pml.hub.download`.
    """
    found = locate(source)
    if isinstance(found, str):
        with advice(found, revision):
            folder = Path(hf_hub_download(found, CONFIG, revision=revision, token=token)).parent
            for name in (EVALUATION, CARD):
                with suppress(EntryNotFoundError):  # not there, or offline not in the cache
                    hf_hub_download(found, name, revision=folder.name, token=token)
    else:
        folder = found
    architecture = read_json(folder / CONFIG).get("architecture")
    licence, training = _card(folder / CARD)
    return Description(
        architecture if isinstance(architecture, str) else None,
        Manifest.read(folder),
        _evaluation(folder / EVALUATION),
        licence,
        training,
    )


def _evaluation(file: Path) -> CompatibilityMatrix | None:
    if not file.is_file():
        return None
    read_json(file)  # which refuses what is too large or too deep
    try:
        return CompatibilityMatrix.from_json(file)
    except ValueError as error:
        raise CheckpointError(f"{file} should be an evaluation. Found: {error}.") from error


def _card(file: Path) -> tuple[str | None, str | None]:
    """Licence and training, by a card that is perhaps somebody else's."""
    if not file.is_file() or file.stat().st_size > _LARGEST_CARD:
        return None, None
    try:
        card = ModelCard.load(file)
    except Exception:  # there is nothing that garbage can't make a YAML parser raise
        return None, None
    licence, training = card.data.license, _TRAINING.search(card.text)
    return licence if isinstance(licence, str) else None, training[1] if training else None
