"""Train with pytorch-metric-learning's trainer, test with its tester, search with its inference.

    python examples/pml_trainer.py                 # minutes on two cores
    python examples/pml_trainer.py --epochs 1      # a first look

The lines marked "new" and "was" are what changes in a script of pytorch-metric-learning.
"""

from __future__ import annotations

import argparse
from itertools import islice

import timm
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.trainers import BaseTrainer
from torch.utils.data import DataLoader

import prunnet_pml as prunnet
from prunnet_pml.datasets import Glyphs
from prunnet_pml.inference import AsymmetricInference
from prunnet_pml.miners import CompatibilityMiner
from prunnet_pml.testers import CompatibilityTester
from prunnet_pml.trainers import PrunableMetricLossOnly


def main() -> None:
    """Trains, tests at the end of every epoch, indexes, searches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    epochs = parser.parse_args().epochs
    torch.manual_seed(0)
    where = "cuda" if torch.cuda.is_available() else "cpu"  # where PML sends the images
    train, test = Glyphs("train"), Glyphs("test")

    trunk = timm.create_model("test_resnet", in_chans=1, num_classes=64)
    trunk = prunnet.make_prunable(trunk).to(where)  # new
    embedder = torch.nn.Identity()
    loss = losses.NormalizedSoftmaxLoss(len(train.characters), 64, temperature=0.05)
    # Beside the classes: pairs in which a subnetwork does worse than the dense network.
    pairs = prunnet.CompatibleLoss(losses.ContrastiveLoss(), trunk, space="embedding", alignment=0)
    loss = losses.MultipleLosses(  # new
        [prunnet.CompatibleLoss(loss, trunk), pairs], miners=[None, CompatibilityMiner(trunk)]
    )
    groups = [{"params": trunk.parameters()}, {"params": loss.parameters(), "lr": 0.1}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    optimizer = prunnet.ConflictAwareOptimizer(optimizer, trunk)  # new

    tester = CompatibilityTester(dataloader_num_workers=0)  # was GlobalEmbeddingSpaceTester

    batches = DataLoader(train, 256, shuffle=True)

    def end_of_epoch(trainer: BaseTrainer) -> None:
        prunnet.calibrate(trunk, islice(batches, 8))  # new: exact norm statistics
        tester.test({"test": test}, trainer.epoch, trunk, embedder)
        print(tester.matrices["test"][0].to_markdown())

    trainer = PrunableMetricLossOnly(  # was MetricLossOnly
        models={"trunk": trunk, "embedder": embedder},
        optimizers={"trunk_optimizer": optimizer},
        batch_size=64,
        loss_funcs={"metric_loss": loss},
        dataset=train,
        dataloader_num_workers=0,
        end_of_epoch_hook=end_of_epoch,
    )
    trainer.train(num_epochs=epochs)

    server = AsymmetricInference(trunk)  # was InferenceModel
    server.train_knn(test)
    server.save_knn_func("gallery.index")
    student = prunnet.prune(trunk, capacity=0.2)
    device = AsymmetricInference(student, capacity=0.2, space_id=prunnet.space_id(trunk))
    device.load_knn_func("gallery.index")
    images = torch.stack([test[index][0] for index in range(0, len(test), len(test) // 8)])
    _, found = device.get_nearest_neighbors(images, k=2)
    print("nearest in the server's gallery, as seen from the device:", found[:, 1].tolist())


if __name__ == "__main__":
    main()
