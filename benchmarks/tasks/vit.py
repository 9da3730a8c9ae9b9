"""A ViT-S behind a stem of convolutions, from scratch, on small grey images."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_hybrid import ConvStem, HybridEmbed
from torch import Tensor, nn

from prunnet_pml.datasets import Glyphs
from prunnet_pml.demo.recipe import DIM, Recipe, adamw
from tasks.task import Task

WIDTH, DEPTH, HEADS = 384, 12, 6


class ViTTask(Task):
    """ViT-S's width, depth and heads, on 64 tokens of 4 x 4 pixels each.

    Three convolutions make the tokens: cut out of the image as they are, they take far longer to
    learn from (`Early Convolutions Help Transformers See Better
    <https://arxiv.org/abs/2106.14881>`_).

    Args:
        recipe: As of every task; ``widths`` are a ResNet's and play no part.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(Glyphs, recipe)

    def describe(self) -> dict[str, Any]:
        recipe = {name: value for name, value in asdict(self.recipe).items() if name != "widths"}
        return {"data": "glyphs", "backbone": "vit_small with a stem of convolutions", **recipe}

    def build(self, width: float) -> nn.Module:
        dim = HEADS * round(width * WIDTH / HEADS)
        stem = ConvStem(1, 3, (dim // 4, dim // 2, dim), stride=(2, 2, 1))
        return VisionTransformer(
            img_size=self.recipe.image_size,
            patch_size=1,  # of the stem's map
            embed_layer=partial(HybridEmbed, backbone=stem, proj=False),
            in_chans=1,
            num_classes=DIM,
            embed_dim=dim,
            depth=DEPTH,
            num_heads=HEADS,
            class_token=False,
            global_pool="avg",
        )

    def optimizer(self, network: nn.Module, loss_func: nn.Module) -> torch.optim.Optimizer:
        return adamw(network, loss_func, self.recipe)

    def as_input(self, images: Tensor) -> Tensor:
        return images
