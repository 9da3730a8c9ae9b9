"""PrunNet as published: four subnetworks, uniform scores, conflict-aware integration."""

model = {
    "type": "prunnet_pml.PrunableEmbedder",
    "backbone": {"type": "timm", "num_classes": 256, "embedding_norm": True},
    "loss": {
        "type": "CompatibleLoss",
        "loss": {"type": "SoftmaxLoss", "embedding_size": 256},
        "alignment": 0,
        "contrast": 0,
    },
    "capacities": [0.2, 0.4, 0.6, 0.8],
    "initial_scores": "uniform",
    "score_depthwise": True,
}
optim_wrapper = {
    "type": "prunnet_pml.ConflictAwareOptimWrapper",
    "integration": {"type": "ConflictAware", "alpha": 0.5, "epsilon": 1e-8},
    "shared": "dense",
    "subnetworks_per_step": None,
    "clip_grad": {"max_norm": 100},
}
train_cfg = {"by_epoch": True, "max_epochs": 30, "val_interval": 5}
