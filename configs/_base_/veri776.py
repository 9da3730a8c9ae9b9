"""VeRi-776: all 576 vehicles to train with, others to search, on other cameras."""

_base_ = "runner.py"

data_root = "data/veri-776"

train_dataloader = {
    "batch_size": 64,
    "num_workers": 8,
    "collate_fn": {"type": "default_collate"},
    "drop_last": True,
    "dataset": {
        "type": "prunnet_pml.VeRi776",
        "root": data_root,
        "split": "train",
        "transform": {"type": "retrieval_transform", "size": 224, "training": True},
    },
    "sampler": {"type": "DefaultSampler", "shuffle": True},
}
val_dataloader = {
    "batch_size": 256,
    "num_workers": 8,
    "collate_fn": {"type": "default_collate"},
    "dataset": {
        "type": "prunnet_pml.QueryAndGallery",
        "dataset": {
            "type": "VeRi776",
            "root": data_root,
            "transform": {"type": "retrieval_transform", "size": 224},
        },
    },
    "sampler": {"type": "DefaultSampler", "shuffle": False},
}
val_evaluator = {"scalars": ["mean_average_precision", "recall_at_1"]}
default_hooks = {
    "checkpoint": {"save_best": "compatibility/mean_average_precision_query_20_gallery_100"}
}
