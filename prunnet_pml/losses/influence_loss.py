"""BCT's influence loss: new embeddings, old classifier."""

from __future__ import annotations

import copy
from typing import Any

from pytorch_metric_learning.losses import BaseMetricLossFunction
from pytorch_metric_learning.reducers import BaseReducer
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor, nn

from prunnet_pml.given_network import check_network


class InfluenceLoss(BaseMetricLossFunction):
    """What an old model's classifier, frozen, loses on a new model's embeddings.

    Added to the loss of the new model's own classifier it makes new embeddings meet an old gallery,
    as in `Towards Backward-Compatible Representation Learning <https://arxiv.org/abs/2003.11942>`_
    (CVPR 2020), called BCT.

    Args:
        classifier: What the old model was trained with: a loss of pytorch-metric-learning with
            class weights, or a module that turns embeddings ``[batch, dim]`` into logits
            ``[batch, classes]``, for cross-entropy. A copy of it is frozen.
        reducer: Default: the classifier's, ``MeanReducer`` for logits.
        **kwargs: As of PML's ``BaseMetricLossFunction``.

    Raises:
        ValueError: If ``classifier`` is no module, or has no parameters.
    """

    def __init__(
        self,
        classifier: nn.Module,
        reducer: BaseReducer | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        check_network(classifier, "classifier")
        if next(classifier.parameters(), None) is None:
            raise ValueError(
                "`classifier` should have class weights. Found "
                f"{type(classifier).__name__} without parameters."
            )
        super().__init__(reducer=reducer, **kwargs)
        self.classifier = copy.deepcopy(classifier).requires_grad_(False).eval()
        self.set_reducer(reducer)  # again, now that the classifier's terms are known

    def train(self, mode: bool = True) -> Any:  # noqa: ANN401 (Self)
        """The classifier stays as it is, in eval mode: norms of its own go on as they were."""
        super().train(mode)
        self.classifier.eval()
        return self

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None,
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """The classifier's terms, or the cross-entropy of its logits, by image."""
        c_f.labels_required(labels)
        c_f.ref_not_supported(embeddings, labels, ref_emb, ref_labels)
        if isinstance(self.classifier, BaseMetricLossFunction):
            terms: dict[str, dict[str, Any]] = self.classifier.compute_loss(
                embeddings, labels, indices_tuple, ref_emb, ref_labels
            )
            return terms
        logits = self.classifier(embeddings)
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        weights = lmu.convert_to_weights(indices_tuple, labels, dtype=losses.dtype)
        images = c_f.torch_arange_from_size(embeddings)
        return {
            "loss": {"losses": losses * weights, "indices": images, "reduction_type": "element"}
        }

    def get_default_reducer(self) -> BaseReducer:
        """The classifier's own, where it is a loss."""
        classifier = getattr(self, "classifier", None)  # not there yet in PML's constructor
        if isinstance(classifier, BaseMetricLossFunction):
            return classifier.get_default_reducer()
        return super().get_default_reducer()

    def _sub_loss_names(self) -> list[str]:
        classifier = getattr(self, "classifier", None)
        if isinstance(classifier, BaseMetricLossFunction):
            names: list[str] = classifier.sub_loss_names()
            return names
        return ["loss"]
