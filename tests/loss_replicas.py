"""What every process of the distributed losses' test runs; spawned processes import it by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from networks import TinyEmbedder
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.losses.spaces import Space

WORLD = 2


class WithoutLabels(losses.BaseMetricLossFunction):
    """A loss that has weights and takes no labels."""

    def __init__(self) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.ones(4))

    def compute_loss(self, embeddings: Tensor, *_: object) -> dict[str, dict[str, Any]]:
        terms = {
            "losses": (embeddings - self.center).square().mean(1),
            "indices": torch.arange(len(embeddings)),
            "reduction_type": "element",
        }
        return {"loss": terms}


LOSSES = {
    "logit": lambda: losses.NormalizedSoftmaxLoss(3, 4),
    "without labels": WithoutLabels,
    "embedding": losses.NTXentLoss,
    "memory": lambda: losses.CrossBatchMemory(losses.ContrastiveLoss(), 4, memory_size=24),
}


def space_of(name: str) -> Space:
    """Where a loss of these compares."""
    return "logit" if name in ("logit", "without labels") else "embedding"


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Embeddings and labels of all processes, every half with the same classes."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(12, 4, generator=generator), torch.tensor([0, 0, 1, 1, 2, 2] * 2)


def share(name: str, rank: int, world: int) -> dict[str, Tensor]:
    """The gradients of this rank's embeddings, of two steps, dense and a subnetwork."""
    torch.manual_seed(0)
    model: nn.Module = prunnet.make_prunable(TinyEmbedder())
    loss = LOSSES[name]()
    if world > 1:
        loss = DistributedLossWrapper(loss)
    space = space_of(name)
    compatible = prunnet.CompatibleLoss(loss, model, space, alignment=0.5)
    found = {}
    for step in range(2):
        for capacity in (1.0, 0.4):
            whole, labels = batch(100 * step + int(10 * capacity))
            mine = torch.arange(len(whole)).chunk(world)[rank]
            embeddings = whole[mine].requires_grad_()
            of_mine = None if name == "without labels" else labels[mine]
            with prunnet.capacity(model, capacity):
                compatible(embeddings, of_mine).backward()
            found[f"{step} {capacity}"] = embeddings.grad
    return found


def run(rank: int, folder: str) -> None:
    """One process of the test: the gradients that it finds for every loss."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD
    )
    found = {name: share(name, rank, WORLD) for name in LOSSES}
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
