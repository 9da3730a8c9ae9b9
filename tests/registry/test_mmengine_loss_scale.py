"""The wrapper with a loss scale, on a CPU: what its GradScaler does is the same on every device."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner
from mmengine_runs import config, forget_runs, state, train

pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """mmengine asks for a GPU, and torch's scaler of that name does nothing without one."""
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    scaler = partial(torch.amp.GradScaler, "cpu")
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", scaler)
    yield
    forget_runs()


def settings(**scale: Any) -> dict[str, Any]:  # noqa: ANN401
    """Two steps of SGD, clipped, of two batches each."""
    return {
        "optim_wrapper.optimizer": {"_delete_": True, "type": "SGD", "lr": 0.1},
        "optim_wrapper.accumulative_counts": 2,
        "optim_wrapper.clip_grad": {"max_norm": 0.5},
        "train_cfg.max_epochs": 1,
        **dict.fromkeys(["val_dataloader", "val_cfg", "val_evaluator"]),
        **{f"optim_wrapper.{name}": value for name, value in scale.items()},
    }


def scaled(**loss_scale: Any) -> dict[str, Any]:  # noqa: ANN401
    wrapper = "prunnet_pml.ConflictAwareAmpOptimWrapper"
    return settings(type=wrapper, dtype="bfloat16", loss_scale=loss_scale)


def test_a_loss_scale_changes_no_step(tmp_path: Path) -> None:
    """It is out of the gradients before they are clipped."""
    plain = train(config(tmp_path / "plain", **settings(bfloat16=True)))
    runner = train(config(tmp_path / "scaled", **scaled(init_scale=2.0**12)))
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2.0**12
    norms = [r.message_hub.get_scalar("train/grad_norm").data[0] for r in (plain, runner)]
    assert norms[1] == pytest.approx(norms[0], rel=1e-4)
    found = state(runner)
    for name, value in state(plain).items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_a_step_that_overflows_is_skipped_and_the_scale_halved(tmp_path: Path) -> None:
    runner = Runner.from_cfg(config(tmp_path, **scaled(init_scale=2.0**127)))
    before = dict(runner.model.named_parameters())
    before = {name: value.detach().clone() for name, value in before.items()}
    runner.train()
    assert all(value.equal(before[name]) for name, value in runner.model.named_parameters())
    assert runner.optim_wrapper.optimizer.skipped_steps == 2
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2.0**125


def test_the_scale_is_resumed(tmp_path: Path) -> None:
    train(config(tmp_path / "first", **scaled(init_scale=2.0**9)))
    changes = scaled(init_scale=2.0**3) | {
        "load_from": str(tmp_path / "first" / "epoch_1.pth"),
        "resume": True,
        "train_cfg.max_epochs": 2,
    }
    resumed = train(config(tmp_path / "second", **changes))
    assert resumed.optim_wrapper.loss_scaler.get_scale() == 2.0**9
    assert resumed.optim_wrapper.optimizer._steps == 4
