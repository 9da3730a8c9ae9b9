"""Every integrator."""

from prunnet_pml import integration
from prunnet_pml.registry.mmengine.building import classes_of
from prunnet_pml.registry.mmengine.registries import TASK_UTILS

for integrator in classes_of(integration, integration.Integrator):
    TASK_UTILS.register_module(module=integrator)
