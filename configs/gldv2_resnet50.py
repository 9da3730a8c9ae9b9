"""PrunNet on Google Landmarks v2 with a ResNet-50 from scratch."""

_base_ = ["_base_/gldv2.py", "_base_/prunnet_sgd.py"]

model = {"backbone": {"name": "resnet50"}, "loss": {"loss": {"num_classes": 24_393}}}
