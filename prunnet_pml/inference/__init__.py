"""Embedding a gallery once and searching it at any capacity."""

from prunnet_pml.inference.asymmetric_inference import AsymmetricInference
from prunnet_pml.inference.gallery_stamp import GalleryStamp

__all__ = ["AsymmetricInference", "GalleryStamp"]
