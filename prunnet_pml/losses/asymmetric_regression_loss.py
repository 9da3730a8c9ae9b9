"""AML's regression: the student's embedding of an image to the teacher's, by their angle."""

from __future__ import annotations

from pytorch_metric_learning.distances import BaseDistance, CosineSimilarity

from prunnet_pml.losses.feature_distillation_loss import FeatureDistillationLoss


class AsymmetricRegressionLoss(FeatureDistillationLoss):
    """One minus the cosine between the embedding and the reference of the same image.

    The regression of `Asymmetric Metric Learning for Knowledge Transfer
    <https://arxiv.org/abs/2006.16331>`_ (CVPR 2021), up to a constant: the teacher (the references)
    embeds the gallery, the student the query. It is the ``alignment`` of ``CompatibleLoss`` as a
    loss of its own.

    Default distance: ``CosineSimilarity``. Default reducer: ``MeanReducer``.
    """

    def get_default_distance(self) -> BaseDistance:
        """The cosine."""
        return CosineSimilarity()
