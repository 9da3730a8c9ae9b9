"""PrunNet on Google Landmarks v2 with a Swin-T from scratch."""

_base_ = ["_base_/gldv2.py", "_base_/prunnet_adamw.py"]

model = {
    "backbone": {"name": "swin_tiny_patch4_window7_224"},
    "loss": {"loss": {"num_classes": 24_393}},
}
optim_wrapper = {"optimizer": {"lr": 1e-3, "weight_decay": 0.01}}
