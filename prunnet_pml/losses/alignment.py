"""How far a subnetwork's embeddings are from the dense network's, as far as retrieval can tell."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize


def misalignment(embeddings: Tensor, dense: Tensor) -> Tensor:
    """One minus the cosine between the embeddings of the same image, seen from the dense mean.

    Embeddings of one domain have a direction in common, the more of their length the fewer classes
    they were trained on; neighbours are told apart by what remains. So both are normalised, and the
    mean of the dense network's in the batch is taken off them, or the cosine would see little else.

    Args:
        embeddings: A subnetwork's, ``[batch, dim]``.
        dense: The dense network's of the same images, detached, ``[batch, dim]``.

    Returns:
        The mean over the batch, in [0, 2]. Of ``torch.distributed`` the mean of all processes'
        batches is taken off, so that as many images make the same gradient on any number of them.
    """
    dense = normalize(dense)
    centre = dense.mean(0)
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(centre)
        centre /= dist.get_world_size()
    return (1 - cosine_similarity(normalize(embeddings) - centre, dense - centre)).mean()
