"""The miner that looks across capacities."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pytorch_metric_learning.miners import BaseMiner
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor, nn

from prunnet_pml.losses.dense_pass import DensePass


class CompatibilityMiner(BaseMiner):
    """Mines what breaks compatibility: a positive farther, or a negative nearer, than dense.

    Anchors are a subnetwork's embeddings, positives and negatives the dense network's. A pair is
    mined where the dense network's embedding of the anchor does better: the criterion of `Towards
    Backward-Compatible Representation Learning <https://arxiv.org/abs/2003.11942>`_ (CVPR 2020). A
    triplet is mined if its positive or its negative pair would be. An image is no positive of its
    own: from the dense network's embedding to itself it is no distance.

    In the loop over ``optimizer.capacities()`` it keeps what the dense network embeds, and mines
    all pairs in that pass::

        miner = CompatibilityMiner(model)
        loss = loss_func(embeddings, labels, miner(embeddings, labels))

    That is for a ``CompatibleLoss``: positives and negatives are indices into the dense network's
    batch. Without a model, give the dense, or an old, network's embeddings of the same images:
    ``miner(embeddings, labels, ref_emb, ref_labels)``.

    Args:
        model: The prunable network. Then ``ref_emb`` may be other references, of any number, such
            as a ``CrossBatchMemory``'s.
        kind: ``"pairs"`` or ``"triplets"``.
        margin: How much better than the dense network's own a distance should be. A larger one
            mines more; a negative one forgives.
        **kwargs: As of PML's ``BaseMiner``: any distance, a similarity too.

    Attributes:
        pos_violations: The share of positive pairs that were farther, if ``collect_stats`` is on.
        neg_violations: The share of negative pairs that were nearer, likewise.

    Default distance: ``LpDistance``.

    Raises:
        ValueError: If ``kind`` is unknown, ``margin`` no number, or ``model`` not prunable.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        kind: Literal["pairs", "triplets"] = "pairs",
        margin: float = 0.0,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        if kind not in ("pairs", "triplets"):
            raise ValueError(f"`kind` should be 'pairs' or 'triplets'. Found {kind!r}.")
        if not isinstance(margin, int | float) or margin != margin:
            raise ValueError(f"`margin` should be a number. Found {margin!r}.")
        self.kind = kind
        self.margin = margin
        self._dense = None if model is None else DensePass(model)
        self.add_to_recordable_attributes(name="margin", is_stat=False)
        self.add_to_recordable_attributes(
            list_of_names=["pos_violations", "neg_violations"], is_stat=True
        )

    def mine(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor, ref_labels: Tensor
    ) -> tuple[Tensor, ...]:
        """Indices of pairs (four tensors) or of triplets (three), PML's way.

        Raises:
            ValueError: Without a model, if ``ref_emb`` is not of the same images.
            RuntimeError: If the dense network did not embed this batch before.
        """
        if self._dense is None:
            if ref_emb is embeddings or len(ref_emb) != len(embeddings):
                found = "none" if ref_emb is embeddings else f"{len(ref_emb)} rows"
                raise ValueError(
                    "`ref_emb` should be the dense network's embeddings of the same "
                    f"{len(embeddings)} images, or `model` be given. Found {found}."
                )
            dense, ref_labels = ref_emb, labels
        elif self._dense.is_running:
            self._dense.keep(embeddings, labels)
            return self._candidates(labels, ref_labels)
        else:
            dense = self._dense.embeddings_of(embeddings, labels)
            if ref_emb is embeddings:
                ref_emb = dense
        worse = self._how_much_farther(embeddings, dense, ref_emb)
        return self._violating(worse, self._candidates(labels, ref_labels))

    def _candidates(self, labels: Tensor, ref_labels: Tensor) -> tuple[Tensor, ...]:
        """All pairs or triplets, none of an image with itself if both labels are one tensor."""
        find = lmu.get_all_pairs_indices if self.kind == "pairs" else lmu.get_all_triplets_indices
        candidates: tuple[Tensor, ...] = find(labels, ref_labels)
        return candidates

    def _how_much_farther(self, embeddings: Tensor, dense: Tensor, ref_emb: Tensor) -> Tensor:
        """By how much references are farther than from the dense network, ``[batch, refs]``."""
        full = torch.promote_types(embeddings.dtype, torch.float32)
        embeddings, dense, ref_emb = (x.to(full) for x in (embeddings, dense, ref_emb))
        with torch.autocast(embeddings.device.type, enabled=False):
            farther: Tensor = self.distance.margin(
                self.distance(embeddings, ref_emb), self.distance(dense, ref_emb)
            )
        return farther

    def _violating(self, farther: Tensor, candidates: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        anchors, positives, negatives = candidates[0], candidates[1], candidates[-1]
        others = candidates[-2] if self.kind == "pairs" else anchors  # the negatives' anchors
        too_far = farther[anchors, positives] > -self.margin
        too_near = farther[others, negatives] < self.margin
        self._set_stats(too_far, too_near)
        if self.kind == "pairs":
            return anchors[too_far], positives[too_far], others[too_near], negatives[too_near]
        broken = too_far | too_near
        return anchors[broken], positives[broken], negatives[broken]

    def _set_stats(self, too_far: Tensor, too_near: Tensor) -> None:
        if self.collect_stats:
            self.pos_violations = too_far.float().mean().item() if len(too_far) else 0.0
            self.neg_violations = too_near.float().mean().item() if len(too_near) else 0.0
