"""What PML's hooks save of a prunable network, they load: to the bit, and training goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from pytorch_metric_learning.utils.logging_presets import HookContainer
from records import RecordKeeper
from torch import nn
from torch.utils.data import SequentialSampler, TensorDataset

import prunnet_pml as prunnet
from prunnet_pml.space import space_id
from prunnet_pml.trainers import PrunableMetricLossOnly

PATTERNS = torch.randn(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def new_trainer(embedder: nn.Module) -> PrunableMetricLossOnly:
    trunk = prunnet.make_prunable(TinyEmbedder())
    loss_func = prunnet.CompatibleLoss(NormalizedSoftmaxLoss(3, 4), trunk)
    parameters = [*trunk.parameters(), *embedder.parameters(), *loss_func.parameters()]
    adam = torch.optim.AdamW(parameters, lr=0.01)
    optimizer = prunnet.ConflictAwareOptimizer(adam, trunk)
    dataset = TensorDataset(PATTERNS, torch.arange(24) % 3)
    return PrunableMetricLossOnly(
        models={"trunk": trunk, "embedder": embedder},
        optimizers={"trunk_optimizer": optimizer},
        batch_size=12,
        loss_funcs={"metric_loss": loss_func},
        dataset=dataset,
        sampler=SequentialSampler(dataset),
        dataloader_num_workers=0,
        data_device=torch.device("cpu"),
        lr_schedulers={
            "trunk_scheduler_by_epoch": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        },
    )


def everything(trainer: PrunableMetricLossOnly) -> dict[str, torch.Tensor]:
    kept = nn.ModuleDict({**trainer.models, **trainer.loss_funcs})
    return {key: value.clone() for key, value in kept.state_dict().items()}


@pytest.mark.parametrize("embedder", [nn.Identity, lambda: nn.Linear(4, 4)], ids=["none", "plain"])
def test_a_saved_training_run_is_loaded_to_the_bit_and_goes_on(
    tmp_path: Path, embedder: object
) -> None:
    hooks = HookContainer(RecordKeeper())
    trainer = new_trainer(embedder())
    trainer.train(num_epochs=2)
    prunnet.set_capacity(trainer.models["trunk"], 0.4)  # whatever it is read at
    hooks.save_models(trainer, str(tmp_path), 2)
    saved = everything(trainer)
    prunnet.set_capacity(trainer.models["trunk"], 1.0)

    resumed = new_trainer(embedder())
    assert space_id(resumed.models["trunk"]) != space_id(trainer.models["trunk"])
    next_epoch = hooks.load_latest_saved_models(resumed, str(tmp_path), torch.device("cpu"))
    hooks.record_keeper.close()
    assert next_epoch == 3
    loaded = everything(resumed)
    assert loaded.keys() == saved.keys()
    assert all(loaded[key].equal(value) for key, value in saved.items())
    kinds = ("conv1.scores", "bn1.capacity_running_var", "loss.W")
    assert all(any(key.endswith(kind) for key in loaded) for kind in kinds)
    assert space_id(resumed.models["trunk"]) == space_id(trainer.models["trunk"])

    for run in (trainer, resumed):
        run.train(start_epoch=3, num_epochs=4)
    expected = everything(trainer)
    assert all(expected[key].equal(value) for key, value in everything(resumed).items())
    assert not expected["trunk.conv1.scores"].equal(saved["trunk.conv1.scores"])
