"""PrunNet on AdamW in 30 epochs, three of them to warm up, for transformers and ConvNeXt."""

_base_ = "prunnet.py"

optim_wrapper = {
    "optimizer": {"type": "AdamW", "lr": 3e-5, "weight_decay": 1e-3},
    "integration": {"alpha": 1.0},
}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.01, "end": 3, "convert_to_iter_based": True},
    {"type": "CosineAnnealingLR", "begin": 3, "end": 30, "convert_to_iter_based": True},
]
