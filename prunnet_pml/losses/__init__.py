"""Losses that make embeddings of all capacities comparable, in PML's dialect."""

from prunnet_pml.losses.compatible_loss import CompatibleLoss

__all__ = ["CompatibleLoss"]
