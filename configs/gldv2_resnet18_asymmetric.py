"""Asymmetric metric learning on Google Landmarks v2: a ResNet-18 of 20% imitates the dense one.

The dense network is that of ``gldv2_resnet18_independent``, trained before.
"""

_base_ = "gldv2_resnet18_bct.py"

model = {
    "type": "prunnet_pml.StudentEmbedder",
    "loss": {"_delete_": True, "type": "AsymmetricRegressionLoss"},
}
