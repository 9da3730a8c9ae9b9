"""PrunNet on Google Landmarks v2 with a ViT-S/16 that was pretrained on ImageNet-21k."""

_base_ = ["_base_/gldv2.py", "_base_/prunnet_adamw.py"]

model = {
    "backbone": {"name": "vit_small_patch16_224.augreg_in21k", "pretrained": True},
    "loss": {"loss": {"num_classes": 24_393}},
}
