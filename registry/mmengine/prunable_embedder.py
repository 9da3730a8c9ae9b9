"""The model of a prunable network and its loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from mmengine.model import BaseModel
from torch import Tensor, nn

from prunnet_pml.initial_scores import InitialScores
from prunnet_pml.masks import check_capacities
from prunnet_pml.network import (
    Granularity,
    capacity,
    is_prunable,
    make_prunable,
    trained_capacities,
)
from prunnet_pml.registry.mmengine.building import build, names_in, with_model
from prunnet_pml.registry.mmengine.conflict_aware_optim_wrapper import ConflictAwareOptimWrapper
from prunnet_pml.registry.mmengine.predictions import predictions
from prunnet_pml.registry.mmengine.registries import MODELS
from prunnet_pml.units.scoring import has_units


@MODELS.register_module()
class PrunableEmbedder(BaseModel):
    """A prunable backbone that learns embeddings, for mmengine's Runner.

    ::

        model = dict(
            type="prunnet_pml.PrunableEmbedder",
            backbone=dict(type="timm", name="resnet18", num_classes=128),
            loss=dict(type="ArcFaceLoss", num_classes=1000, embedding_size=128),
        )

    It trains with a ``ConflictAwareOptimWrapper``: one forward and backward per capacity, one graph
    at a time. A batch is ``(images, labels)``.

    Args:
        backbone: Config of a network, or the network, which is made prunable unless it is.
        loss: Config of a loss, which goes into a ``CompatibleLoss`` unless there is one in it
            (``dict(type="CompatibleLoss", loss=..., alignment=0)``, or several of them in a
            ``MultipleLosses``). What takes a ``model``, at any depth, is given the backbone.
        miner: Config of a miner, if pairs or triplets are to be mined; as for the loss.
        capacities: As in ``make_prunable``, as the next four are, and by default what it does by
            default; a prunable backbone has its own.
        initial_scores: As in ``make_prunable``.
        granularity: As in ``make_prunable``. A backbone that is not timm's is made prunable of
            granularity ``"channel"`` before it comes here, with an ``example_input``.
        round_to: As in ``make_prunable``.
        score_depthwise: As in ``make_prunable``.
        data_preprocessor: As in mmengine.

    Attributes:
        predicted_capacities: Those of mode ``"predict"``, and so of validation; None for the dense
            network and every trained capacity.

    Raises:
        ValueError: As ``make_prunable`` and ``CompatibleLoss``, if a type is unknown, or an
            argument says otherwise than a prunable backbone is.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any] | nn.Module,
        loss: Mapping[str, Any],
        miner: Mapping[str, Any] | None = None,
        capacities: Iterable[float] | None = None,
        initial_scores: InitialScores | None = None,
        granularity: Granularity | None = None,
        round_to: int | None = None,
        score_depthwise: bool | None = None,
        data_preprocessor: Any = None,  # noqa: ANN401
    ) -> None:
        super().__init__(data_preprocessor)
        network = build(backbone, MODELS)
        given: dict[str, Any] = {
            "capacities": capacities,
            "initial_scores": initial_scores,
            "granularity": granularity,
            "round_to": round_to,
            "score_depthwise": score_depthwise,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if is_prunable(network):
            _check_given(network, given)
        else:
            make_prunable(network, **given)
        self.backbone = network
        self.loss_func = self._build_loss(loss)
        self.miner = build(with_model(miner, network, MODELS), MODELS)
        self.predicted_capacities: tuple[float, ...] | None = None

    def _build_loss(self, loss: Mapping[str, Any]) -> nn.Module:
        """The loss of every capacity's embeddings, from its config."""
        if "CompatibleLoss" not in names_in(loss):
            loss = {"type": "CompatibleLoss", "loss": loss}
        built: nn.Module = build(with_model(loss, self.backbone, MODELS), MODELS)
        return built

    def init_weights(self) -> None:
        """Does nothing: mmengine's would have timm draw new weights over pretrained ones."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """One iteration over all capacities.

        Raises:
            ValueError: If ``optim_wrapper`` is not a ``ConflictAwareOptimWrapper``.
        """
        if not isinstance(optim_wrapper, ConflictAwareOptimWrapper):
            found = type(optim_wrapper).__name__
            raise ValueError(
                f"`optim_wrapper` should be a prunnet_pml.ConflictAwareOptimWrapper. Found {found}."
            )
        return optim_wrapper.train_step(self, data)

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
            mode: ``"tensor"``: embeddings ``[b, d]`` at the current capacity. ``"loss"``: their
                loss. ``"predict"``: what ``CompatibilityMetric`` reads.
        """
        if mode == "predict":
            return self._predict(images, labels)
        embeddings = self.backbone(images)
        if mode == "tensor":
            return embeddings
        pairs = None if self.miner is None else self.miner(embeddings, labels)
        return {"loss": self.loss_func(embeddings, labels, pairs)}

    def _predict(self, images: Tensor, labels: Tensor | None) -> list[dict[str, Any]]:
        capacities = self.predicted_capacities or (1.0, *trained_capacities(self.backbone))
        found = {}
        for value in capacities:
            with capacity(self.backbone, value):
                found[value] = self.backbone(images)
        return predictions(found, labels)


def _check_given(network: nn.Module, given: Mapping[str, Any]) -> None:
    """Raises ValueError if an argument says how to make what is made already, unless it is so."""
    trained = trained_capacities(network)
    known = {"capacities": trained, "granularity": "channel" if has_units(network) else "weight"}
    for name, value in given.items():
        if known.get(name) != (check_capacities(value) if name == "capacities" else value):
            raise ValueError(
                f"`{name}` should be left out with a backbone that is prunable already, and trains "
                f"{', '.join(f'{c:g}' for c in trained)}. Found {value!r}."
            )
