"""The model of a network that imitates a trained one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prunnet_pml.registry.mmengine.dense_embedder import DenseEmbedder
from prunnet_pml.registry.mmengine.registries import MODELS


@MODELS.register_module()
class StudentEmbedder(DenseEmbedder):
    """A ``DenseEmbedder`` whose loss compares it with the frozen dense network, image by image.

    ::

        model = dict(
            type="prunnet_pml.StudentEmbedder",
            backbone=dict(type="timm", name="mobilenetv3_small_050", num_classes=128),
            loss=dict(type="AsymmetricRegressionLoss"),
            dense=dict(type="trained", module=..., checkpoint=..., prefix="backbone."),
            capacity=0.2,
        )

    Args:
        **kwargs: As of ``DenseEmbedder``. ``loss`` takes references, and ``dense`` is needed.

    Raises:
        ValueError: As ``DenseEmbedder``, or without ``dense``.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        if self.dense is None:
            raise ValueError("`dense` should be the network to imitate. Found None.")

    @torch.no_grad()
    def references(self, images: Tensor) -> dict[str, Tensor | None]:
        """The dense network's embeddings of the same images, ``[b, d]``."""
        return {"ref_emb": self.dense(images), "ref_labels": None}
