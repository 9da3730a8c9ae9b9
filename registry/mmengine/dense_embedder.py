"""The model of one plain network and its loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mmengine.model import BaseModel
from torch import Tensor, nn

from prunnet_pml.masks import check_capacity
from prunnet_pml.registry.mmengine.building import build
from prunnet_pml.registry.mmengine.predictions import predictions
from prunnet_pml.registry.mmengine.registries import MODELS


@MODELS.register_module()
class DenseEmbedder(BaseModel):
    """A network of one size that learns embeddings, as everybody trains one.

    ::

        model = dict(
            type="prunnet_pml.DenseEmbedder",
            backbone=dict(type="timm", name="resnet18", num_classes=128),
            loss=dict(type="ArcFaceLoss", num_classes=1000, embedding_size=128),
        )

    It trains with mmengine's ``OptimWrapper``. A batch is ``(images, labels)``. A smaller network
    that is to search a dense network's gallery is validated against that: its ``dense`` one.

    Args:
        backbone: Config of a network, or the network.
        loss: Config of a loss of pytorch-metric-learning.
        miner: Config of a miner, if pairs or triplets are to be mined.
        dense: Config of the trained network that embeds the gallery (``type="trained"``). It is
            frozen.
        capacity: What the validation calls the network: its share of the dense one's parameters.
        data_preprocessor: As in mmengine.

    Raises:
        ValueError: If a type is unknown, or ``capacity`` is not in (0, 1], or is 1 and ``dense`` is
            given.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any] | nn.Module,
        loss: Mapping[str, Any],
        miner: Mapping[str, Any] | None = None,
        dense: Mapping[str, Any] | nn.Module | None = None,
        capacity: float = 1.0,
        data_preprocessor: Any = None,  # noqa: ANN401
    ) -> None:
        super().__init__(data_preprocessor)
        self.capacity = check_capacity(capacity)
        if dense is not None and self.capacity == 1:
            raise ValueError("`capacity` should be below 1 beside a `dense` network. Found 1.")
        self.backbone = build(backbone, MODELS)
        self.loss_func = build(loss, MODELS)
        self.miner = build(miner, MODELS)
        self.dense = build(dense, MODELS)
        if self.dense is not None:
            self.dense.requires_grad_(False)

    def init_weights(self) -> None:
        """Does nothing: mmengine's would have timm draw new weights over trained ones."""

    def train(self, mode: bool = True) -> DenseEmbedder:
        """Sets the mode of all but the dense network, which is as it will be when it is used."""
        super().train(mode)
        if self.dense is not None:
            self.dense.eval()
        return self

    def forward(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        mode: Literal["tensor", "loss", "predict"] = "tensor",
    ) -> Any:  # noqa: ANN401
        """Embeds a batch.

        Args:
            images: ``[b, ...]``.
            labels: ``[b]``.
            mode: ``"tensor"``: embeddings ``[b, d]``. ``"loss"``: their loss. ``"predict"``: what
                ``CompatibilityMetric`` reads, of the dense network too.
        """
        embeddings = self.backbone(images)
        if mode == "tensor":
            return embeddings
        if mode == "predict":
            dense = {} if self.dense is None else {1.0: self.dense(images)}
            return predictions({**dense, self.capacity: embeddings}, labels)
        pairs = None if self.miner is None else self.miner(embeddings, labels)
        return {"loss": self.loss_func(embeddings, labels, pairs, **self.references(images))}

    def references(self, images: Tensor) -> dict[str, Tensor | None]:
        """What the loss gets beside embeddings and labels: nothing. For subclasses."""
        del images
        return {}
