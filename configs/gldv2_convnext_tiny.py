"""PrunNet on Google Landmarks v2 with a pretrained ConvNeXt-T."""

_base_ = ["_base_/gldv2.py", "_base_/prunnet_adamw.py"]

model = {
    "backbone": {"name": "convnext_tiny", "pretrained": True},
    "loss": {"loss": {"num_classes": 24_393}},
}
