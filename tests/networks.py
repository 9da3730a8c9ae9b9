"""The networks that everything has to work on, at sizes that tests can afford."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

EMBEDDING = 8
SETS = ("running_mean", "running_var", "num_batches_tracked")


class HandWritten(nn.Module):
    """What a user may write: grouped convolutions, weights read by hand, torch's own attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 32, 1)
        self.norms = nn.ModuleList([nn.GroupNorm(4, 32), nn.BatchNorm2d(32)])
        self.attention = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.embed = nn.Linear(32, EMBEDDING, bias=False)
        self.embed_norm = nn.BatchNorm1d(EMBEDDING, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem_norm(self.stem(images)).relu()
        x = nn.functional.conv2d(
            self.depthwise(x), self.pointwise.weight, self.pointwise.bias, stride=2
        )
        for norm in self.norms:
            x = norm(x).relu()
        tokens = self.attention(x.flatten(2).mT)
        return self.embed_norm(nn.functional.linear(tokens.mean(1), self.embed.weight))


class TinyEmbedder(nn.Module):
    """The least that has all kinds of parameters: scored, norm affine, norm statistics, biases."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.bn2 = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = self.bn1(self.conv1(images)).relu()
        x = self.bn2(self.conv2(x)).relu()
        return self.head(x.mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.head


@dataclass(frozen=True)
class Spec:
    """How large a network's images are, and what makes it small enough for a test."""

    pixels: int = 64
    arguments: dict[str, Any] = field(default_factory=dict)


def _sized(pixels: int, **arguments: Any) -> Spec:  # noqa: ANN401
    return Spec(pixels, {"img_size": pixels, **arguments})


SPECS = {
    "resnet18": Spec(),
    "resnet50": Spec(arguments={"layers": (1, 1, 2, 1)}),
    "resnext50_32x4d": Spec(arguments={"layers": (1, 1, 2, 1)}),
    "mobilenetv2_100": Spec(),
    "mobilenetv3_large_100": Spec(),
    "efficientnet_b0": Spec(),
    "tf_efficientnet_lite0": Spec(),
    "resnetv2_50x1_bit": Spec(),
    "convnext_tiny": Spec(arguments={"depths": (1, 1, 2, 1)}),
    "vit_small_patch16_224": _sized(64, depth=3),
    "swin_tiny_patch4_window7_224": _sized(56, depths=(2, 2, 2, 1)),
    "swinv2_tiny_window8_256": _sized(64, depths=(2, 2, 2, 1)),
    "beit_base_patch16_224": _sized(64, depth=2),
    "eva02_tiny_patch14_224": _sized(56, depth=3),
    "mobilevit_s": Spec(),
    "regnety_002": Spec(),
    "hand-written": Spec(),
}
"""The list that the library promises, the large ones with fewer blocks of each kind."""

TINY = {
    "test_resnet": Spec(),
    "test_efficientnet": Spec(),
    "test_convnext": Spec(),
    "test_vit": _sized(64),
}
"""timm's own test networks: the kinds of the list at a hundredth of the size."""


def build(name: str, full_size: bool = False) -> nn.Module:
    """A network as if it had been trained a while, in eval mode.

    timm starts many with branches switched off (the last norm of a residual block at 0) and with
    statistics that silence the output. Nothing would show in them.
    """
    if name == "hand-written":
        model: nn.Module = HandWritten()
    else:
        import timm  # here: the processes of a data-parallel test need none of it

        arguments = {} if full_size else ({**SPECS, **TINY})[name].arguments
        model = timm.create_model(name, num_classes=EMBEDDING, **arguments)
        if name.startswith("resnetv2") and not full_size:  # its builder takes no `layers`
            for stage in model.stages:
                stage.blocks = stage.blocks[:1]
        model.get_classifier().reset_parameters()  # some start at a thousandth of that
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() < 2:  # norms, biases, layer scale
                parameter.add_(0.2 * torch.randn_like(parameter))
    torch.optim.swa_utils.update_bn([images(name, full_size)], model)
    return model.eval()


def images(name: str, full_size: bool = False) -> Tensor:
    """A batch of images of the network's size."""
    if name == "hand-written":
        return torch.randn(8, 3, 64, 64)
    if full_size:
        import timm

        return torch.randn(2, *timm.get_pretrained_cfg(name).input_size)
    pixels = ({**SPECS, **TINY})[name].pixels
    return torch.randn(2, 3, pixels, pixels)


def batch_norms(model: nn.Module) -> dict[str, nn.Module]:
    """The norms of a network that hold running statistics, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _NormBase) and module._buffers.get("running_mean") is not None
    }


def expected_keys(plain: nn.Module) -> set[str]:
    """The state dict's keys that a plain network should have once it is prunable."""
    keys = set(plain.state_dict())
    classifier = getattr(plain, "get_classifier", nn.Identity)()
    head = list(classifier.modules())
    for name, module in plain.named_modules():
        depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
        scorable = isinstance(module, nn.Conv2d | nn.Linear) and not depthwise
        if scorable and not any(module is part for part in head):
            keys.add(f"{name}.scores")
    for name in batch_norms(plain):
        keys |= {f"{name}.capacity_{statistic}" for statistic in SETS}
        keys.add(f"{name}.norm_capacities")
    return keys


def assert_equal_states(one: nn.Module, other: dict[str, Tensor]) -> None:
    """Fails where a network's state is not equal, to the bit, to one recorded with ``snapshot``."""
    state = one.state_dict()
    assert state.keys() == other.keys()
    changed = [key for key, value in state.items() if not torch.equal(value, other[key])]
    assert not changed


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's state that later changes leave alone."""
    return {key: value.clone() for key, value in model.state_dict().items()}
