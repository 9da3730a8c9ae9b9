"""PrunNet on SGD in 30 epochs, for convolutional networks from scratch."""

_base_ = "prunnet.py"

optim_wrapper = {
    "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
}
param_scheduler = {"type": "MultiStepLR", "milestones": [5, 10, 20], "gamma": 0.1}
