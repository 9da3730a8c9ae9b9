"""Miners that look across capacities, for any loss of pytorch-metric-learning."""

from prunnet_pml.miners.compatibility_miner import CompatibilityMiner

__all__ = ["CompatibilityMiner"]
