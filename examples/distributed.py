"""Train on several processes: DistributedDataParallel and a loss over all of their embeddings.

    torchrun --nproc_per_node 2 examples/distributed.py --steps 500

Nothing is different for prunnet_pml: wrap the prunable network by DDP as ever. Every process draws
the same subnetworks and integration orders, so replicas stay equal to the bit; ``evaluate`` shares
the embedding passes between the processes.
"""

from __future__ import annotations

import argparse
from itertools import islice

import timm
import torch
import torch.distributed as dist
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, RandomSampler

import prunnet_pml as prunnet
from prunnet_pml.datasets import Glyphs

BATCH = 64  # over all processes


def main() -> None:
    """Trains and evaluates; the first process prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps
    dist.init_process_group("gloo")  # with GPUs "nccl", and model and batches on them
    rank, world = dist.get_rank(), dist.get_world_size()
    train, test = Glyphs("train"), Glyphs("test")

    torch.manual_seed(0)  # equal weights everywhere
    model = prunnet.make_prunable(timm.create_model("test_resnet", in_chans=1, num_classes=64))
    replica = DistributedDataParallel(model)
    loss = DistributedLossWrapper(MultiSimilarityLoss())
    loss_func = prunnet.CompatibleLoss(loss, model, space="embedding")
    adamw = torch.optim.AdamW(model.parameters(), lr=3e-3)
    optimizer = prunnet.ConflictAwareOptimizer(adamw, model)

    torch.manual_seed(rank)  # other images everywhere
    sampler = RandomSampler(train, num_samples=steps * BATCH // world)
    for images, labels in DataLoader(train, BATCH // world, sampler=sampler):
        for _ in optimizer.capacities():
            loss_func(replica(images), labels).backward()
        optimizer.step()

    torch.manual_seed(0)  # the same images everywhere: replicas stay equal
    batches = DataLoader(train, 256, shuffle=True)
    prunnet.calibrate(model, islice(batches, 8))  # exact norm statistics

    matrix = prunnet.evaluate(replica, test)  # every process calls it
    if rank == 0:
        print(matrix.to_markdown())
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
