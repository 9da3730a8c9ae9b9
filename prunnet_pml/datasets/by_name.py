"""A test set by its name, or a folder of images, as a network of timm takes its images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from prunnet_pml.datasets.fashion_mnist import FashionMNIST
from prunnet_pml.datasets.glyphs import Glyphs

if TYPE_CHECKING:
    from PIL.Image import Image as ImageFile

NAMES = ("glyphs", "fashion-mnist")
"""The sets that are known by name."""


def named_images(data: str | Path, network: nn.Module) -> Dataset[tuple[Any, int]]:
    """Images to query and to search, as the network's ``pretrained_cfg`` wants them.

    Size, colour or grey, mean and standard deviation are taken from there, as timm does it.

    Args:
        data: One of ``NAMES``, for the test split; or a folder with a folder for each class.
        network: A network of timm, prunable or plain.

    Returns:
        A dataset of ``(image [channels, height, width], label)``.

    Raises:
        ValueError: If it is no such name and no folder.
        FileNotFoundError: If the folder holds no classes, or the files of a set are missing.
    """
    from timm.data.config import resolve_model_data_config

    config: dict[str, Any] = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    if data == "glyphs":
        return Glyphs("test", size=config["input_size"][-1], transform=partial(_fit, config=config))
    if data == "fashion-mnist":
        return FashionMNIST(split="test", transform=partial(_fit, config=config))
    if not Path(data).is_dir():
        raise ValueError(f"`data` should be one of {NAMES}, or a folder. Found {str(data)!r}.")
    return _image_folder(Path(data), config)


def _fit(image: Tensor, config: dict[str, Any]) -> Tensor:
    """A grey image ``[1, h, w]`` in [0, 1] as the network takes it: ``[channels, size, size]``."""
    channels, *size = config["input_size"]
    if list(image.shape[1:]) != size:
        resized = F.interpolate(image[None], size, mode="bilinear", antialias=True)
        image = resized[0]
    mean, std = (image.new_tensor(config[key])[:, None, None] for key in ("mean", "std"))
    return (image.expand(channels, *size) - mean) / std


def _image_folder(folder: Path, config: dict[str, Any]) -> Dataset[tuple[Any, int]]:
    from timm.data.transforms_factory import create_transform
    from torchvision.datasets import ImageFolder

    load = partial(_load, mode="L" if config["input_size"][0] == 1 else "RGB")
    found: Dataset[tuple[Any, int]] = ImageFolder(
        str(folder), transform=create_transform(**config), loader=load
    )
    return found


def _load(path: str, mode: str) -> ImageFile:
    from PIL import Image

    with Image.open(path) as image:
        converted: Image.Image = image.convert(mode)
    return converted
