"""Every integrator, and TorchJD's aggregators where it is installed."""

from importlib.util import find_spec

from prunnet_pml import integration
from prunnet_pml.registry.mmengine.building import classes_of
from prunnet_pml.registry.mmengine.registries import TASK_UTILS

for integrator in classes_of(integration, integration.Integrator):
    TASK_UTILS.register_module(module=integrator)

if find_spec("torchjd"):
    from torchjd import aggregation

    for aggregator in classes_of(aggregation, aggregation.Aggregator):
        if aggregator.__name__ not in TASK_UTILS.module_dict:  # ours go first
            TASK_UTILS.register_module(module=aggregator)
