"""A narrow ResNet-10 learns the ten classes of Fashion-MNIST: photographs, in minutes on a CPU."""

_base_ = "_base_/runner.py"

_epochs, _batches = 2, 375  # so many batches are called an epoch: all images would be 468
_steps = _epochs * _batches
_warm_up = _steps // 5

model = {
    "type": "prunnet_pml.PrunableEmbedder",
    "backbone": {"type": "demo_resnet10"},
    "loss": {
        "type": "NormalizedSoftmaxLoss",
        "num_classes": 10,
        "embedding_size": 128,
        "temperature": 0.05,
    },
    "capacities": [0.2, 0.4, 0.6, 0.8],
}

_loader = {"num_workers": 0, "collate_fn": {"type": "default_collate"}}
train_dataloader = {
    **_loader,
    "batch_size": 128,
    "num_batch_per_epoch": _batches,
    "dataset": {"type": "prunnet_pml.FashionMNIST", "split": "train", "held_out": False},
    "sampler": {"type": "DefaultSampler", "shuffle": True},
}
val_dataloader = {
    **_loader,
    "batch_size": 256,
    "dataset": {"type": "prunnet_pml.FashionMNIST", "split": "test", "held_out": False},
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
