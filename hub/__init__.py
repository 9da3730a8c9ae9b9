"""How prunable weights travel: saved so that every device loads, or downloads, its share.

>>> from prunnet_pml.hub import from_pretrained, save_pretrained
>>> save_pretrained(model, "folder", precision="float16")     # doctest: +SKIP
>>> student = from_pretrained("folder", capacity=0.2)         # doctest: +SKIP

``save_pretrained`` cuts the network into bands, one a capacity; ``from_pretrained`` reads those
that a capacity needs. ``FORMAT.md`` beside this file describes every byte.

A repository of the Hugging Face Hub is such a folder: ``push_to_hub`` makes one, with a card;
``from_pretrained`` takes its name too, and downloads no more than it reads. ``download`` and
``upgrade`` do so for a folder of one's own, ``describe`` reads no weights, ``save_plain`` leaves
a folder for stock timm. ``catalogue`` lists the checkpoints that come with the package; their names
go wherever a repository's does.
"""

from prunnet_pml.hub.card import write_card
from prunnet_pml.hub.catalogue import CatalogueEntry, catalogue
from prunnet_pml.hub.describing import Description, describe
from prunnet_pml.hub.downloading import download, upgrade
from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.loading import from_pretrained
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.plain_folder import save_plain
from prunnet_pml.hub.publishing import publish
from prunnet_pml.hub.pushing import push_to_hub
from prunnet_pml.hub.saving import save_pretrained
from prunnet_pml.hub.spaces import read_source_space_id

__all__ = [
    "CatalogueEntry",
    "CheckpointError",
    "Description",
    "Manifest",
    "catalogue",
    "describe",
    "download",
    "from_pretrained",
    "publish",
    "push_to_hub",
    "read_source_space_id",
    "save_plain",
    "save_pretrained",
    "upgrade",
    "write_card",
]
