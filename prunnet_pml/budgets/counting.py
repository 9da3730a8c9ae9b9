"""What a plain network takes, counted from the shapes of its tensors."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from prunnet_pml.given_network import as_input


def count_macs(network: nn.Module, input_size: Sequence[int]) -> int:
    """Multiply-accumulate operations for one image.

    Half of what ``torch.utils.flop_counter`` counts on the meta device, where nothing is computed
    and attention is a product of matrices that counts as one.

    Args:
        network: A plain network, on any device. It stays as it is.
        input_size: (channels, height, width).
    """
    shapes = copy.deepcopy(network).to("meta").eval()
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes(as_input(torch.empty(1, *input_size), shapes))
    return int(counter.get_total_flops()) // 2


def count_parameters(network: nn.Module) -> int:
    """How many parameters there are, one that two layers share counted once."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_bytes(network: nn.Module) -> int:
    """Bytes of the tensors in the state dict, one that has two names counted once."""
    tensors: dict[int, Tensor] = {
        id(tensor): tensor for tensor in network.state_dict(keep_vars=True).values()
    }
    return sum(tensor.nbytes for tensor in tensors.values())
