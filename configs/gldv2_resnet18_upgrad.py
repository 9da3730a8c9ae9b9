"""PrunNet's network on Google Landmarks v2, ResNet-18, with TorchJD's UPGrad as the integration."""

_base_ = "gldv2_resnet18.py"

optim_wrapper = {"integration": {"_delete_": True, "type": "UPGrad"}}
