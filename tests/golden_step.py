"""The small ResNet of the golden training step, under the names of its recording."""

from __future__ import annotations

import numpy as np
import torch
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

CAPACITIES = (0.8, 0.6, 0.4, 0.2)


class GoldenEmbedder(nn.Module):
    """ResNet-18 at width 8 without the stem's pooling, then Linear and BatchNorm1d."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        width = 8
        for number, planes in enumerate((8, 16, 32, 64), start=1):
            self.add_module(f"layer{number}", _layer(width, planes, stride=1 + (number > 1)))
            width = planes
        self.last_layer = nn.Linear(64, 32)
        self.last_bn = nn.BatchNorm1d(32)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(images)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.last_bn(self.last_layer(x.mean((2, 3))))


def _layer(width: int, planes: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride > 1:
        shortcut = nn.Sequential(
            nn.Conv2d(width, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
        )
    return nn.Sequential(
        BasicBlock(width, planes, stride, downsample=shortcut), BasicBlock(planes, planes)
    )


def recorded_name(name: str) -> str:
    """The recording's name of one of our parameters or buffers."""
    name = name.replace("downsample.0", "conv3").replace("downsample.1", "bn3")
    if name.startswith(("last_layer", "last_bn")):
        name = f"projector.{name}"
    return name.replace(".scores", ".w_m")


def load_recorded(module: nn.Module, recording: dict[str, np.ndarray]) -> None:
    """Fills parameters, scores and dense statistics with the recorded initial ones."""
    for name, value in module.state_dict().items():
        key = f"init/{recorded_name(name)}"
        if key in recording:
            value.copy_(torch.from_numpy(recording[key]))
