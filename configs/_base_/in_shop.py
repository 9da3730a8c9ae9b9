"""In-shop Clothes Retrieval: all 3,997 garments to train with, others to search."""

_base_ = "runner.py"

data_root = "data/in-shop"

train_dataloader = {
    "batch_size": 64,
    "num_workers": 8,
    "collate_fn": {"type": "default_collate"},
    "drop_last": True,
    "dataset": {
        "type": "prunnet_pml.InShop",
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
            "type": "InShop",
            "root": data_root,
            "transform": {"type": "retrieval_transform", "size": 224},
        },
    },
    "sampler": {"type": "DefaultSampler", "shuffle": False},
}
val_evaluator = {"scalars": ["recall_at_1", "mean_average_precision"]}
default_hooks = {"checkpoint": {"save_best": "compatibility/recall_at_1_query_20_gallery_100"}}
