r"""Integration: the N+1 gradients of a network's capacities, dense first, into one.

An ``Integrator`` is called with the gradients of all scored tensors, ``gradients[p][i]`` being
gradient ``i`` of tensor ``p``, and returns one gradient per tensor.

>>> import torch
>>> from prunnet_pml.integration import ConflictAware
>>> filters = torch.randn(5, 16, 8, 3, 3)  # five gradients of one convolution
>>> [integrated] = ConflictAware()([list(filters)], torch.Generator().manual_seed(0))
>>> integrated.shape
torch.Size([16, 8, 3, 3])
"""

from prunnet_pml.integration.aggregator import Aggregator, as_integrator
from prunnet_pml.integration.conflict_aware import ConflictAware
from prunnet_pml.integration.default import default_integrator
from prunnet_pml.integration.integrator import Gradients, Integrator
from prunnet_pml.integration.pcgrad import PCGrad
from prunnet_pml.integration.sums import Mean, Sum

__all__ = [
    "Aggregator",
    "ConflictAware",
    "Gradients",
    "Integrator",
    "Mean",
    "PCGrad",
    "Sum",
    "as_integrator",
    "default_integrator",
]
