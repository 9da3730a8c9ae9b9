"""What every process of the data-parallel test runs; spawned processes import it by name."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from networks import TinyEmbedder
from torch import Tensor, nn

import prunnet_pml as prunnet

WORLD = 2
STEPS = 2


def build(norms: bool) -> nn.Module:
    """The same network in every process; without norms, a half batch sees what a whole one does."""
    torch.manual_seed(0)
    plain = TinyEmbedder()
    if not norms:
        plain.bn1, plain.bn2 = nn.Identity(), nn.Identity()
    return prunnet.make_prunable(plain)


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(8, 1, 8, 8, generator=generator), torch.arange(8) % 4


def train(model: nn.Module, forward: nn.Module, rank: int, world: int) -> dict[str, Tensor]:
    """Some steps on this rank's share; every integrated gradient and the final parameters."""
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    optimizer = prunnet.ConflictAwareOptimizer(sgd, model)
    seen = {}
    for step in range(STEPS):
        images, labels = (part[rank::world] for part in batch(step))
        for _ in optimizer.capacities():
            nn.functional.cross_entropy(forward(images), labels).backward()
        for name, parameter in model.named_parameters():
            seen[f"gradient {step} {name}"] = parameter.grad.clone()
        optimizer.step()
    seen.update({name: p.detach().clone() for name, p in model.named_parameters()})
    return seen


def run(rank: int, folder: str) -> None:
    """One process of the test: trains under DDP in every setting, and writes what it saw."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD
    )
    found = {}
    for norms in (False, True):
        for view in (False, True):
            model = build(norms)
            replica = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=view)
            found[norms, view] = train(model, replica, rank, WORLD)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
