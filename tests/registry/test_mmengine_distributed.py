"""mmengine's Runner under torchrun: two processes do what one does with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mmengine_runs
import pytest
import torch
from mmengine.registry import MODELS

from prunnet_pml.registry.mmengine.prunable_distributed_data_parallel import (
    PrunableDistributedDataParallel,
)

pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)
EACH = pytest.mark.parametrize("granularity", mmengine_runs.GRANULARITIES)
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each of two gloo processes saw, by granularity."""
    folder: Path = tmp_path_factory.mktemp("processes")
    command = [sys.executable, *TORCHRUN, mmengine_runs.__file__, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@EACH
def test_replicas_are_equal_to_the_bit(processes: list[Any], granularity: str) -> None:
    one, other = (process[granularity]["state"] for process in processes)
    assert [name for name, value in one.items() if not value.equal(other[name])] == []


@EACH
def test_half_batches_integrate_to_the_gradient_of_the_whole_batch(
    processes: list[Any], granularity: str, tmp_path: Path
) -> None:
    """Two of them accumulated, and clipped."""
    alone = mmengine_runs.train_without_batch_norm(str(tmp_path), granularity)["gradients"]
    together = processes[0][granularity]["gradients"]
    assert together.keys() == alone.keys()
    assert len(alone) > 100
    for name, value in together.items():  # all of a step have norm 0.5
        torch.testing.assert_close(value, alone[name], rtol=0, atol=1e-6, msg=name)
    for step in range(1, mmengine_runs.COMPARED_STEPS + 1):
        norms = [value.norm() for name, value in alone.items() if name.startswith(f"{step} ")]
        assert torch.stack(norms).norm().item() == pytest.approx(mmengine_runs.MAX_NORM, rel=1e-4)


def test_sync_bn_is_refused_since_it_drops_what_every_capacity_knows() -> None:
    model = MODELS.build(mmengine_runs.config(Path()).model)
    replaced = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    with pytest.raises(ValueError, match="`sync_bn` should be None"):
        PrunableDistributedDataParallel(replaced)


def test_the_main_process_scores_all_images(processes: list[Any]) -> None:
    main, other = (process["weight"]["matrix"] for process in processes)
    assert other is None
    assert '"recall_at_1"' in main
