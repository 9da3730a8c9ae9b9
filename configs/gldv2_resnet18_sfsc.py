"""SFSC on Google Landmarks v2: a slimmable ResNet-18 whose widths learn by their uncertainty.

Widths are the roots of the capacities, .4472, .6325, .7746 and .8944, so that parameters match;
every width has norms of its own. It trains on one process.
"""

_base_ = "gldv2_resnet18_independent.py"

model = {
    "type": "prunnet_pml.SlimmableEmbedder",
    "loss": {"type": "EvidentialLoss", "temperature": 0.05},
    "capacities": [0.2, 0.4, 0.6, 0.8],
}
optim_wrapper = {
    "type": "prunnet_pml.SlimmableOptimWrapper",
    "integration": {"type": "PCGrad"},
}
train_dataloader = {"batch_size": 128}
default_hooks = {
    "checkpoint": {"save_best": "compatibility/mean_average_precision_at_100_query_20_gallery_100"}
}
