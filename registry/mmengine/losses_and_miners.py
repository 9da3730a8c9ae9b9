"""Every loss and miner, ours and PML's, and what they are made of."""

from pytorch_metric_learning import distances, miners, reducers, regularizers
from pytorch_metric_learning import losses as losses_of_pml
from torch import nn

from prunnet_pml import losses
from prunnet_pml.miners import CompatibilityMiner
from prunnet_pml.registry.mmengine.building import classes_of, register
from prunnet_pml.registry.mmengine.registries import MODELS

for module in (losses_of_pml, losses, miners, distances, reducers, regularizers):
    for component in classes_of(module, nn.Module):
        register(component, MODELS)
register(CompatibilityMiner, MODELS)
