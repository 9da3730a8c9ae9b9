"""What Torch-Pruning's dependency graph says of a network, as plain data by name."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from prunnet_pml.units.groups import Side
from prunnet_pml.units.outputs import tensors_of

Axis = tuple[str, Side]
"""A module's name and a side of it: ``"out"`` or ``"in"``."""


@dataclass
class Traced:
    """Layers that share channels.

    Attributes:
        width: How many channels they share.
        axes: Where these lie in modules, and how many entries they are there.
        parameters: The names of parameters without a module of their own that share them too.
        is_added_to: Whether an addition of two tensors runs through them.
        is_attention: Whether a product of two tensors does, as of queries, keys and values.
    """

    width: int
    axes: dict[Axis, int] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)
    is_added_to: bool = False
    is_attention: bool = False

    def names(self, side: Side) -> list[str]:
        """The modules that share the channels at this side."""
        return [name for name, found in self.axes if found == side]


def trace(model: nn.Module, images: Tensor) -> list[Traced]:
    """The groups of layers that share channels, one per layer that makes some.

    Args:
        model: A plain network. It stays as it is.
        images: A batch that it takes.

    Raises:
        ImportError: If Torch-Pruning is not installed.
    """
    try:
        import torch_pruning
    except ImportError as error:
        raise ImportError(
            "`granularity` 'channel' finds its units with Torch-Pruning: "
            "pip install 'prunnet-pml[structured]'"
        ) from error
    twin = copy.deepcopy(model).eval().requires_grad_(True)
    names: dict[Any, str] = {module: name for name, module in twin.named_modules()}
    names.update((parameter, name) for name, parameter in twin.named_parameters())
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # what it does with parameters outside of modules
        graph = torch_pruning.DependencyGraph().build_dependency(
            twin, images, output_transform=tensors_of, verbose=False
        )
        groups = graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear])
        return [_traced(group, names) for group in groups]


def _traced(group: Any, names: dict[Any, str]) -> Traced:  # noqa: ANN401
    found = Traced(width=len(group[0].idxs))
    for dependency, indices in group:
        node = dependency.target
        operation = type(node.grad_fn).__name__
        if isinstance(node.module, nn.Parameter):
            found.parameters.append(names[node.module])
        elif node.module in names:
            side: Side = "in" if "in_channels" in dependency.handler.__name__ else "out"
            found.axes[names[node.module], side] = len(indices)
        elif operation.startswith(("AddBackward", "SubBackward")):
            found.is_added_to |= len(node.inputs) > 1
        elif operation.startswith(("Bmm", "ScaledDotProduct")):
            found.is_attention = True
    return found
