"""The model of a slimmable network and its loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from mmengine.model import BaseModel
from torch import Tensor, nn

from prunnet_pml.losses.comparison import with_detached_weights
from prunnet_pml.masks import check_capacities
from prunnet_pml.network import TRAINED_CAPACITIES
from prunnet_pml.registry.mmengine.building import build
from prunnet_pml.registry.mmengine.predictions import predictions
from prunnet_pml.registry.mmengine.registries import MODELS
from prunnet_pml.registry.mmengine.slimmable_optim_wrapper import SlimmableOptimWrapper
from prunnet_pml.slimmable import make_slimmable, set_width


@MODELS.register_module()
class SlimmableEmbedder(BaseModel):
    """A backbone whose capacities are its first channels, see :mod:`prunnet_pml.slimmable`.

    It trains with a ``SlimmableOptimWrapper``. Only the widest network moves the class weights.

    Args:
        backbone: Config of a network, or the network, which is made slimmable.
        loss: Config of a loss with class weights: ``dict(type="EvidentialLoss", ...)`` for SFSC.
        capacities: Those below 1.
        data_preprocessor: As in mmengine.

    Raises:
        ValueError: If a type is unknown, a capacity is not in (0, 1), or the backbone has groups.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any] | nn.Module,
        loss: Mapping[str, Any],
        capacities: Iterable[float] = TRAINED_CAPACITIES,
        data_preprocessor: Any = None,  # noqa: ANN401
    ) -> None:
        super().__init__(data_preprocessor)
        self.capacities = (1.0, *check_capacities(capacities))
        self.backbone = make_slimmable(build(backbone, MODELS), self.capacities)
        self.loss_func = build(loss, MODELS)

    def init_weights(self) -> None:
        """Does nothing: mmengine's would have timm draw new weights over pretrained ones."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """One iteration over all capacities.

        Raises:
            ValueError: If ``optim_wrapper`` is not a ``SlimmableOptimWrapper``.
        """
        if not isinstance(optim_wrapper, SlimmableOptimWrapper):
            found = type(optim_wrapper).__name__
            raise ValueError(
                f"`optim_wrapper` should be a prunnet_pml.SlimmableOptimWrapper. Found {found}."
            )
        return optim_wrapper.train_step(self, data)

    def loss_at(self, capacity: float, images: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch at one capacity, where the backbone is left."""
        embeddings = set_width(self.backbone, capacity)(images)
        batch = (embeddings, labels)
        loss: Tensor = (
            self.loss_func(*batch)
            if capacity == 1
            else with_detached_weights(self.loss_func, *batch)
        )
        return loss

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
            mode: ``"tensor"``: embeddings ``[b, d]`` at the current width. ``"predict"``: what
                ``CompatibilityMetric`` reads, at every capacity.

        Raises:
            RuntimeError: If ``mode`` is ``"loss"``, as under mmengine's wrapper for several
                processes: there is a loss per capacity.
        """
        if mode == "tensor":
            return self.backbone(images)
        if mode == "loss":
            raise RuntimeError("A SlimmableEmbedder should train on one process. Found a wrapper.")
        found = {c: set_width(self.backbone, c)(images) for c in self.capacities}
        set_width(self.backbone, 1.0)
        return predictions(found, labels)
