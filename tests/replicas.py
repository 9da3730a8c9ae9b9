"""What every process of the data-parallel tests runs; spawned processes import it by name."""

from __future__ import annotations

import torch
import torch.distributed as dist
from networks import TinyEmbedder
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import prunnet_pml as prunnet

WORLD = 2
STEPS = 20
COMPARED_STEPS = 2  # with one process; later, rounding has grown


def build(batch_norms: bool) -> nn.Module:
    """The same network in every process; layer norms see in half a batch what they do in one."""
    torch.manual_seed(0)
    plain = TinyEmbedder()
    if not batch_norms:
        for name in ("bn1", "bn2"):
            setattr(plain, name, nn.GroupNorm(1, getattr(plain, name).num_features))
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
            if step < COMPARED_STEPS:
                seen[f"gradient {step} {name}"] = parameter.grad.clone()
        optimizer.step()
    seen.update({name: p.detach().clone() for name, p in model.named_parameters()})
    return seen


def images_and_labels() -> tuple[Tensor, Tensor]:
    """What is evaluated: three batches of eight and one of three, an odd share for somebody."""
    return torch.randn(27, 1, 8, 8, generator=torch.Generator().manual_seed(9)), torch.arange(
        27
    ) % 5


def evaluate(network: nn.Module) -> dict[str, str]:
    """The matrix as JSON, by what holds the images."""
    images, labels = images_and_labels()
    dataset = TensorDataset(images, labels)
    sets = {"tensors": (images, labels), "dataset": dataset, "loader": DataLoader(dataset, 8)}
    return {
        name: prunnet.evaluate(network, data, batch_size=8).to_json() for name, data in sets.items()
    }


def refusal_of_a_shuffling_loader(network: nn.Module) -> str:
    try:
        prunnet.evaluate(network, DataLoader(TensorDataset(*images_and_labels()), shuffle=True))
    except ValueError as error:
        return str(error)
    return "none"


def run(rank: int, folder: str) -> None:
    """One process of the tests: trains and evaluates under DDP, and writes what it saw."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD
    )
    found = {}
    for batch_norms in (False, True):
        for view in (False, True):
            model = build(batch_norms)
            replica = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=view)
            found[batch_norms, view] = train(model, replica, rank, WORLD)
    matrices = evaluate(nn.parallel.DistributedDataParallel(build(batch_norms=True)))
    refusal = refusal_of_a_shuffling_loader(replica)
    torch.save({"training": found, "matrices": matrices, "refusal": refusal}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()
