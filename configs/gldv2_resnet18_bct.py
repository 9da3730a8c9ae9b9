"""Backward-compatible training on Google Landmarks v2: a ResNet-18 of 20% for the dense gallery.

The dense network is that of ``gldv2_resnet18_independent``, trained before. One size a run: for
others change the channels and the capacity.
"""

_base_ = "gldv2_resnet18_independent.py"

_width = 0.4472  # sqrt(0.2), so 20% of the parameters; .6325, .7746, .8944 for 40, 60 and 80%
_checkpoint = "work_dirs/gldv2_resnet18_independent/epoch_30.pth"
_loss = {"type": "SoftmaxLoss", "num_classes": 24_393, "embedding_size": 256}

model = {
    "backbone": {"channels": [round(_width * channels) for channels in (64, 128, 256, 512)]},
    "loss": {
        "_delete_": True,
        "type": "MultipleLosses",
        "losses": [
            _loss,
            {
                "type": "InfluenceLoss",
                "classifier": {
                    "type": "trained",
                    "module": _loss,
                    "checkpoint": _checkpoint,
                    "prefix": "loss_func.",
                },
            },
        ],
    },
    "dense": {
        "type": "trained",
        "module": {
            "type": "timm",
            "name": "resnet18",
            "num_classes": 256,
            "embedding_norm": True,
        },
        "checkpoint": _checkpoint,
        "prefix": "backbone.",
    },
    "capacity": 0.2,
}
default_hooks = {
    "checkpoint": {"save_best": "compatibility/mean_average_precision_at_100_query_20_gallery_100"}
}
