"""What is done to images before the network sees them."""

from typing import Any

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.transforms_factory import create_transform
from torchvision import transforms

from prunnet_pml.datasets import Distortion
from prunnet_pml.registry.mmengine.registries import TRANSFORMS


def retrieval_transform(size: int = 224, training: bool = False) -> Any:  # noqa: ANN401 (untyped)
    """What PrunNet does to images: a crop out of the image, scaled to 8/7 of its side.

    Args:
        size: Height and width in pixels. 224 is cut out of an image whose shorter side is 256.
        training: Whether to crop and flip at random; else the crop is the centre.
    """
    resize = transforms.Resize(
        size * 8 // 7, interpolation=transforms.InterpolationMode.BICUBIC, antialias=True
    )
    crop = [transforms.CenterCrop(size)]
    if training:
        crop = [transforms.RandomCrop(size), transforms.RandomHorizontalFlip()]
    normalize = transforms.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    return transforms.Compose([resize, *crop, transforms.ToTensor(), normalize])


TRANSFORMS.register_module(module=Distortion)
TRANSFORMS.register_module(module=retrieval_transform)
TRANSFORMS.register_module(name="timm", module=create_transform)
