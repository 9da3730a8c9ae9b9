"""PrunNet on Google Landmarks v2 with a ResNet-18 from scratch: the paper's main set-up."""

_base_ = ["_base_/gldv2.py", "_base_/prunnet_sgd.py"]

model = {"backbone": {"name": "resnet18"}, "loss": {"loss": {"num_classes": 24_393}}}
