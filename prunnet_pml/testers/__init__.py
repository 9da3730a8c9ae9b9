"""Testers that fill the compatibility matrix, for the hooks of pytorch-metric-learning."""

from prunnet_pml.record_names import cell_name
from prunnet_pml.testers.compatibility_tester import CompatibilityTester

__all__ = ["CompatibilityTester", "cell_name"]
