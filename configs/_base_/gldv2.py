"""Google Landmarks v2: 30% of the clean list's landmarks to train with, its index to search."""

_base_ = "runner.py"

data_root = "data/google-landmarks-v2"
_test_transform = {"type": "retrieval_transform", "size": 224}

train_dataloader = {
    "batch_size": 64,  # in each of two processes
    "num_workers": 8,
    "collate_fn": {"type": "default_collate"},
    "drop_last": True,
    "dataset": {
        "type": "prunnet_pml.GoogleLandmarksV2",
        "root": data_root,
        "split": "train",
        "class_fraction": 0.3,
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
            "type": "GoogleLandmarksV2",
            "root": data_root,
            "transform": _test_transform,
        },
    },
    "sampler": {"type": "DefaultSampler", "shuffle": False},
}
default_hooks = {
    "checkpoint": {"save_best": "compatibility/mean_average_precision_at_100_query_20_gallery_100"}
}

test_dataloader = {
    **val_dataloader,
    "dataset": {
        "type": "prunnet_pml.QueryAndGallery",
        "dataset": {
            "type": "RevisitedParis",
            "root": "data/rparis6k",
            "transform": _test_transform,
        },
    },
}
test_cfg = {"type": "TestLoop"}
test_evaluator = {
    "type": "prunnet_pml.CompatibilityMetric",
    "scalars": ["mean_average_precision_medium", "mean_average_precision_hard"],
}
