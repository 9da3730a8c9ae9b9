"""Losses that make embeddings of several networks comparable, in PML's dialect.

``CompatibleLoss`` ties the subnetworks of a prunable network to the dense network, with any loss of
pytorch-metric-learning. The others are the losses of the literature on compatible embeddings. They
are losses of PML themselves and go alone, with a frozen old model, or inside of a
``CompatibleLoss``:

- with class weights: ``SoftmaxLoss`` (PrunNet), ``EvidentialLoss`` (SFSC), and ``InfluenceLoss``
  (BCT) with frozen ones;
- of pairs and triplets with references: ``AsymmetricContrastiveLoss``, ``AsymmetricTripletLoss``
  (AML);
- of every image with its reference: ``AsymmetricRegressionLoss`` (AML),
  ``FeatureDistillationLoss``, ``RelationDistillationLoss`` (RKD).
"""

from prunnet_pml.losses.asymmetric_contrastive_loss import AsymmetricContrastiveLoss
from prunnet_pml.losses.asymmetric_regression_loss import AsymmetricRegressionLoss
from prunnet_pml.losses.asymmetric_triplet_loss import AsymmetricTripletLoss
from prunnet_pml.losses.compatible_loss import CompatibleLoss
from prunnet_pml.losses.evidential_loss import EvidentialLoss
from prunnet_pml.losses.feature_distillation_loss import FeatureDistillationLoss
from prunnet_pml.losses.influence_loss import InfluenceLoss
from prunnet_pml.losses.relation_distillation_loss import RelationDistillationLoss
from prunnet_pml.losses.softmax_loss import SoftmaxLoss

__all__ = [
    "AsymmetricContrastiveLoss",
    "AsymmetricRegressionLoss",
    "AsymmetricTripletLoss",
    "CompatibleLoss",
    "EvidentialLoss",
    "FeatureDistillationLoss",
    "InfluenceLoss",
    "RelationDistillationLoss",
    "SoftmaxLoss",
]
