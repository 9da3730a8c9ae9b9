"""How prunable weights travel: saved so that every device loads, or downloads, its share.

>>> from prunnet_pml.hub import from_pretrained, save_pretrained
>>> save_pretrained(model, "folder", precision="float16")     # doctest: +SKIP
>>> student = from_pretrained("folder", capacity=0.2)         # doctest: +SKIP

``save_pretrained`` cuts the network into bands, one a capacity; ``from_pretrained`` reads those
that a capacity needs. ``FORMAT.md`` beside this file describes every byte.
"""

from prunnet_pml.hub.errors import CheckpointError
from prunnet_pml.hub.loading import from_pretrained
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.saving import save_pretrained

__all__ = ["CheckpointError", "Manifest", "from_pretrained", "save_pretrained"]
