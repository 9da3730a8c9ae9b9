"""Joint training on Google Landmarks v2, ResNet-18: the plain sum of all capacities' losses."""

_base_ = "gldv2_resnet18.py"

model = {"type": "prunnet_pml.JointEmbedder"}
optim_wrapper = {"integration": {"_delete_": True, "type": "Sum"}, "shared": "sum"}
