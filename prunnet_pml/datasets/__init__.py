"""Data sets that are drawn or read from disk; none is downloaded.

:class:`Glyphs` draws its images from the fonts inside matplotlib, in seconds; :class:`Distortion`
is its batched augmentation, of use to any batch of images. :class:`FashionMNIST` reads a few MB of
photographs. The benchmarks of the PrunNet paper and its neighbours are read from the folders that
their releases unpack to, and bring the protocol that they are scored by::

    query, gallery = VeRi776(root, "query", transform), VeRi776(root, "gallery", transform)
    matrix = prunnet_pml.evaluate(model, query, gallery, protocol=query.protocol(gallery))

:func:`named_images` opens one by its name, or a folder of images, as a network takes its images.
A missing file is an error that says where to get it. CUB, Cars196 and Stanford Online Products are
in :mod:`pytorch_metric_learning.datasets`.
"""

from prunnet_pml.datasets.base_dataset import BaseDataset
from prunnet_pml.datasets.by_name import named_images
from prunnet_pml.datasets.distortion import Distortion
from prunnet_pml.datasets.fashion_mnist import FashionMNIST
from prunnet_pml.datasets.glyphs import Glyphs
from prunnet_pml.datasets.google_landmarks import GoogleLandmarksV2
from prunnet_pml.datasets.in_shop import InShop
from prunnet_pml.datasets.revisited import RevisitedOxford, RevisitedParis
from prunnet_pml.datasets.veri776 import VeRi776

__all__ = [
    "BaseDataset",
    "Distortion",
    "FashionMNIST",
    "Glyphs",
    "GoogleLandmarksV2",
    "InShop",
    "RevisitedOxford",
    "RevisitedParis",
    "VeRi776",
    "named_images",
]
