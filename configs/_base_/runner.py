"""What every config starts from: ``_base_ = "_base_/runner.py"``."""

default_scope = "mmengine"
model_wrapper_cfg = {"type": "prunnet_pml.PrunableDistributedDataParallel"}

default_hooks = {
    "checkpoint": {
        "type": "CheckpointHook",
        "interval": 1,
        "max_keep_ckpts": 2,
        "save_best": "compatibility/recall_at_1_query_20_gallery_100",
        "rule": "greater",
    },
}
custom_hooks = [
    {"type": "prunnet_pml.PlainCheckpointHook"},
    {"type": "prunnet_pml.EpochSeedHook"},
    {"type": "prunnet_pml.CapacityCurveHook"},
]
visualizer = {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]}

val_cfg = {"type": "ValLoop"}
val_evaluator = {"type": "prunnet_pml.CompatibilityMetric"}
randomness = {"seed": 0}
