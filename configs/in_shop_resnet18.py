"""PrunNet on In-shop Clothes Retrieval with a ResNet-18 from scratch."""

_base_ = ["_base_/in_shop.py", "_base_/prunnet_sgd.py"]

model = {"backbone": {"name": "resnet18"}, "loss": {"loss": {"num_classes": 3_997}}}

train_cfg = {"max_epochs": 200, "val_interval": 10}
param_scheduler = {"milestones": [50, 100, 150]}
