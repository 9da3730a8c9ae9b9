"""The components of prunnet_pml in mmengine's registries, under the scope ``prunnet_pml``.

``dict(type="prunnet_pml.PrunableEmbedder", ...)`` needs no import: mmengine imports
``prunnet_pml.registry`` by the scope, and the components when one is first asked for.
"""

from prunnet_pml.registry.mmengine.registries import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPERS,
    SCOPE,
    TASK_UTILS,
    TRANSFORMS,
)

__all__ = [
    "DATASETS",
    "DATA_SAMPLERS",
    "HOOKS",
    "METRICS",
    "MODELS",
    "MODEL_WRAPPERS",
    "OPTIM_WRAPPERS",
    "SCOPE",
    "TASK_UTILS",
    "TRANSFORMS",
]
