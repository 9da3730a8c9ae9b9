"""PrunNet on Google Landmarks v2 with a MobileNetV2 from scratch; whole tensors are integrated."""

_base_ = ["_base_/gldv2.py", "_base_/prunnet_sgd.py"]

model = {"backbone": {"name": "mobilenetv2_100"}, "loss": {"loss": {"num_classes": 24_393}}}
optim_wrapper = {"integration": {"per_filter": False}}
