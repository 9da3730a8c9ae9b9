"""A narrow ResNet-10 learns letters from fonts: the demo's network, in minutes on a CPU."""

_base_ = "_base_/runner.py"

_epochs = 10
_steps = 144 * _epochs
_warm_up = _steps // 5

model = {
    "type": "prunnet_pml.PrunableEmbedder",
    "backbone": {"type": "demo_resnet10"},
    "loss": {
        "type": "NormalizedSoftmaxLoss",
        "num_classes": 674,
        "embedding_size": 128,
        "temperature": 0.05,
    },
    "capacities": [0.2, 0.4, 0.6, 0.8],
}

train_dataloader = {
    "batch_size": 64,
    "num_workers": 0,
    "collate_fn": {"type": "default_collate"},
    "dataset": {"type": "prunnet_pml.Glyphs", "split": "train"},
    "sampler": {"type": "DefaultSampler", "shuffle": True},
}
val_dataloader = {
    "batch_size": 256,
    "num_workers": 0,
    "collate_fn": {"type": "default_collate"},
    "dataset": {"type": "prunnet_pml.Glyphs", "split": "test"},
    "sampler": {"type": "DefaultSampler", "shuffle": False},
}

default_hooks = {
    "norms": {"type": "prunnet_pml.NormCalibrationHook", "capacities": [0.1, 0.3, 0.5, 0.7, 0.9]},
}
optim_wrapper = {
    "type": "prunnet_pml.ConflictAwareOptimWrapper",
    "optimizer": {"type": "AdamW", "lr": 1e-2, "weight_decay": 1e-2},
    "paramwise_cfg": {"custom_keys": {"loss_func": {"lr_mult": 10}}},  # class weights: norm 11
}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.04, "by_epoch": False, "begin": 0, "end": _warm_up},
    {"type": "CosineAnnealingLR", "by_epoch": False, "begin": _warm_up, "end": _steps},
]
train_cfg = {"by_epoch": True, "max_epochs": _epochs}
