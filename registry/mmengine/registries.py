"""mmengine's registries with the scope ``prunnet_pml``; each is filled when it is first read."""

from __future__ import annotations

from typing import Any

from mmengine import registry as mmengine

from prunnet_pml.registry.nearest_names import did_you_mean

SCOPE = "prunnet_pml"


class ScopedRegistry(mmengine.Registry):
    """A registry of the scope ``prunnet_pml``, whose error says so.

    Args:
        parent: mmengine's registry of the same kind, which is searched after this one.
        *modules: Those of this package that hold what is registered.
    """

    def __init__(self, parent: mmengine.Registry, *modules: str) -> None:
        locations = [f"prunnet_pml.registry.mmengine.{module}" for module in modules]
        super().__init__(parent.name, parent=parent, scope=SCOPE, locations=locations)

    def get(self, key: str) -> Any:  # noqa: ANN401
        """What is registered under a name, here or in mmengine.

        Raises:
            ValueError: If there is none.
        """
        try:
            found = super().get(key)
        except RuntimeError:  # mmengine took the scope for a module to import
            found = None
        if found is not None:
            return found
        scope, _, name = key.rpartition(".")
        hint = did_you_mean(name, self.module_dict) if scope in ("", SCOPE) else ""
        raise ValueError(
            f"`type` should be among the {self.name}s of the scope {SCOPE!r}, or of mmengine, "
            f"which were searched. Found {key!r}.{hint}"
        )


MODELS = ScopedRegistry(
    mmengine.MODELS,
    "backbones",
    "dense_embedder",
    "joint_embedder",
    "losses_and_miners",
    "prunable_embedder",
    "slimmable_embedder",
    "student_embedder",
    "trained",
)
"""The models, ``timm`` backbones, and all losses, miners, distances, reducers, regularizers."""
MODEL_WRAPPERS = ScopedRegistry(mmengine.MODEL_WRAPPERS, "prunable_distributed_data_parallel")
OPTIM_WRAPPERS = ScopedRegistry(
    mmengine.OPTIM_WRAPPERS, "conflict_aware_optim_wrapper", "slimmable_optim_wrapper"
)
TASK_UTILS = ScopedRegistry(mmengine.TASK_UTILS, "integrators")
DATASETS = ScopedRegistry(mmengine.DATASETS, "datasets", "query_and_gallery")
DATA_SAMPLERS = ScopedRegistry(mmengine.DATA_SAMPLERS, "samplers")
TRANSFORMS = ScopedRegistry(mmengine.TRANSFORMS, "transforms")
METRICS = ScopedRegistry(mmengine.METRICS, "compatibility_metric")
HOOKS = ScopedRegistry(
    mmengine.HOOKS,
    "capacity_curve_hook",
    "epoch_seed_hook",
    "norm_calibration_hook",
    "plain_checkpoint_hook",
)
