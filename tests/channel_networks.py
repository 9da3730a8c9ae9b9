"""Networks of granularity "channel", calibrated, with what the tests ask of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import networks
import torch
from torch import Tensor, nn

import prunnet_pml as prunnet

CAPACITIES = (0.2, 0.35, 0.5, 0.8)
PROMISED = [
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "regnety_002",
    "convnext_tiny",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
]
"""The networks whose units the library promises to find."""


class Block(nn.Module):
    """A residual block whose hidden activation is not 0 at 0, and that has attention heads."""

    def __init__(self, width: int = 16, hidden: int = 24, num_heads: int = 4) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.conv1 = nn.Conv2d(width, hidden, 3, padding=1)
        self.norm = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, width, 3, padding=1, bias=False)
        self.attention = HeadsByHand(width, num_heads)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.conv2(self.norm(self.conv1(x)).sigmoid())
        return x + self.attention(x.flatten(2).mT).mT.reshape(x.shape)


class HeadsByHand(nn.Module):
    """Attention as a user writes it: three layers, and a table that counts the heads."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.sharpness = nn.Parameter(torch.rand(num_heads, 1, 1))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        q, k, v = (
            layer(x).view(batch, tokens, self.num_heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = (q @ k.mT * self.sharpness).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, tokens, -1))


class ByHand(nn.Module):
    """A network that says nothing of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4)
        self.blocks = nn.Sequential(Block(), Block())
        self.embed = nn.Linear(16, networks.EMBEDDING)

    def forward(self, images: Tensor) -> Tensor:
        return self.embed(self.blocks(self.stem(images)).mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.embed


@dataclass
class Case:
    """A network before and after, and images for it."""

    name: str
    plain: nn.Module
    model: nn.Module
    images: Tensor

    def in_float64(self) -> Case:
        """A copy of it."""
        plain, model = (copy.deepcopy(network).double() for network in (self.plain, self.model))
        return Case(self.name, plain, model, self.images.double())

    @torch.no_grad()
    def embed(self, model: nn.Module, capacity: float | None = None) -> Tensor:
        if capacity is None:
            return model(self.images)
        with prunnet.capacity(model, capacity):
            return model(self.images)


def make_case(name: str, full_size: bool = False, **arguments: object) -> Case:
    """A network of this name, plain and prunable, with the norm statistics of its capacities."""
    torch.manual_seed(0)
    if name == "by hand":
        plain: nn.Module = ByHand().eval()
        images = torch.randn(4, 3, 32, 32)
    else:
        plain = networks.build(name, full_size)
        images = networks.images(name, full_size)
    model = copy.deepcopy(plain)
    prunnet.make_prunable(model, granularity="channel", example_input=images[:1], **arguments)
    prunnet.calibrate(model, [images], [1.0, *prunnet.trained_capacities(model)])
    plain.load_state_dict(prunnet.prune(model, 1.0).state_dict())
    return Case(name, plain, model, images)


def assert_close(one: Tensor, other: Tensor, tolerance: float = 1e-5) -> None:
    """Equal to the tolerance in units of the largest value."""
    assert one.shape == other.shape
    assert other.isfinite().all()
    assert (one - other).abs().max() <= tolerance * other.abs().max()
