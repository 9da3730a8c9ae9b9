"""PrunNet on VeRi-776 with a ResNet-18 from scratch; its schedule is In-shop's."""

_base_ = ["_base_/veri776.py", "_base_/prunnet_sgd.py"]

model = {"backbone": {"name": "resnet18"}, "loss": {"loss": {"num_classes": 576}}}

train_cfg = {"max_epochs": 200, "val_interval": 10}
param_scheduler = {"milestones": [50, 100, 150]}
