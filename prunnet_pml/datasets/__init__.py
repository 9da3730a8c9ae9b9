"""Datasets that need no download.

:class:`Glyphs` draws its images from the fonts inside matplotlib, in seconds; :class:`Distortion`
is its batched augmentation, of use to any batch of images.
"""

from prunnet_pml.datasets.distortion import Distortion
from prunnet_pml.datasets.glyphs import Glyphs

__all__ = ["Distortion", "Glyphs"]
