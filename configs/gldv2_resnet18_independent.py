"""A dense ResNet-18 alone on Google Landmarks v2, as everybody trains one."""

_base_ = "gldv2_resnet18.py"

model = {
    "_delete_": True,
    "type": "prunnet_pml.DenseEmbedder",
    "backbone": {
        "type": "timm",
        "name": "resnet18",
        "num_classes": 256,
        "embedding_norm": True,
    },
    "loss": {"type": "SoftmaxLoss", "num_classes": 24_393, "embedding_size": 256},
}
model_wrapper_cfg = {"type": "MMDistributedDataParallel"}
optim_wrapper = {
    "_delete_": True,
    "type": "OptimWrapper",
    "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
    "clip_grad": {"max_norm": 100},
}
default_hooks = {
    "checkpoint": {"save_best": "compatibility/mean_average_precision_at_100_query_100_gallery_100"}
}
