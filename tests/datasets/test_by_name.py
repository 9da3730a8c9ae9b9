"""Test sets by name, and folders of images, as a network takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from torch import nn

from prunnet_pml.datasets import FashionMNIST, Glyphs, named_images


def network(channels: int, size: int) -> nn.Module:
    mean, std = ((0.5,), (0.25,)) if channels == 1 else ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    overlay = {"input_size": (channels, size, size), "mean": mean, "std": std, "crop_pct": 1.0}
    return timm.create_model("test_resnet", in_chans=channels, pretrained_cfg_overlay=overlay)


@pytest.mark.parametrize("channels", [1, 3])
def test_glyphs_are_drawn_at_the_networks_size(channels: int) -> None:
    model = network(channels, 24)
    image, label = named_images("glyphs", model)[5]
    grey, expected = Glyphs("test", size=24)[5]
    assert label == expected
    mean, std = (torch.tensor(model.pretrained_cfg[k])[:, None, None] for k in ("mean", "std"))
    torch.testing.assert_close(image, (grey - mean) / std)
    assert image.shape == (channels, 24, 24)


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").exists(), reason="its files are not here"
)
def test_fashion_mnist_is_resized() -> None:
    found = named_images("fashion-mnist", network(1, 28))
    assert len(found) == len(FashionMNIST(split="test"))
    raw = FashionMNIST(split="test")[3][0]
    torch.testing.assert_close(found[3][0], (raw - 0.5) / 0.25)
    assert named_images("fashion-mnist", network(3, 32))[0][0].shape == (3, 32, 32)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_holds_a_folder_for_each_class(tmp_path: Path, channels: int) -> None:
    for name, colour in (("dark", 0), ("light", 255)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, 30), (colour,) * 3).save(tmp_path / name / "one.png")
    model = network(channels, 16)
    images, labels = zip(*named_images(tmp_path, model), strict=True)
    assert labels == (0, 1)
    config = model.pretrained_cfg
    for image, value in zip(images, (0.0, 1.0), strict=True):
        assert image.shape == (channels, 16, 16)
        for plane, mean, std in zip(image, config["mean"], config["std"], strict=True):
            torch.testing.assert_close(plane, torch.full((16, 16), (value - mean) / std))


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`data` should be one of .*glyphs.* Found 'glyfs'"):
        named_images("glyfs", network(1, 16))
    with pytest.raises(FileNotFoundError, match="class"):
        named_images(tmp_path, network(1, 16))
