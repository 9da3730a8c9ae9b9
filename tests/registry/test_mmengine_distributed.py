"""mmengine's Runner on two processes: what one process does with the whole batch."""

from pathlib import Path
from typing import Any

import mmengine_runs
import pytest
import torch


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each of two gloo processes saw."""
    folder: Path = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(mmengine_runs.run, (str(folder),), nprocs=mmengine_runs.WORLD)
    return [torch.load(folder / f"{rank}.pt") for rank in range(mmengine_runs.WORLD)]


def test_replicas_are_equal_to_the_bit(processes: list[Any]) -> None:
    one, other = (process["state"] for process in processes)
    assert [name for name, value in one.items() if not value.equal(other[name])] == []


def test_half_batches_integrate_to_the_gradient_of_the_whole_batch(
    processes: list[Any], tmp_path: Path
) -> None:
    alone = mmengine_runs.train_without_batch_norm(str(tmp_path), 1)["gradients"]
    assert len(alone) > 100
    for name, value in processes[0]["gradients"].items():
        torch.testing.assert_close(value, alone[name], rtol=1e-4, atol=1e-5, msg=name)


def test_the_main_process_scores_all_images(processes: list[Any]) -> None:
    main, other = (process["matrix"] for process in processes)
    assert other is None
    assert '"recall_at_1"' in main
