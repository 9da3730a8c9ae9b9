"""PrunNet on Google Landmarks v2 with a ResNeXt-50 (32x4d) from scratch."""

_base_ = ["_base_/gldv2.py", "_base_/prunnet_sgd.py"]

model = {"backbone": {"name": "resnext50_32x4d"}, "loss": {"loss": {"num_classes": 24_393}}}
