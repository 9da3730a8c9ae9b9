"""Two processes, each with half of the work: what one process would have done with the whole."""

from pathlib import Path
from typing import Any

import pytest
import replicas
import torch


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each of two gloo processes saw."""
    folder: Path = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(replicas.run, (str(folder),), nprocs=replicas.WORLD)
    return [torch.load(folder / f"{rank}.pt") for rank in range(replicas.WORLD)]


def test_replicas_are_equal_to_the_bit_after_twenty_steps(processes: list[Any]) -> None:
    one, other = (process["training"] for process in processes)
    for key, found in one.items():
        assert all(torch.equal(value, other[key][name]) for name, value in found.items())


def test_half_batches_integrate_to_the_gradient_of_the_whole_batch(processes: list[Any]) -> None:
    model = replicas.build(batch_norms=False)
    alone = replicas.train(model, model, 0, 1)
    for (batch_norms, _), found in processes[0]["training"].items():
        for name, value in found.items():
            if name.startswith("gradient") and not batch_norms:
                torch.testing.assert_close(value, alone[name], rtol=0, atol=1e-5, msg=name)


def test_shared_embedding_passes_fill_the_same_matrix(processes: list[Any]) -> None:
    alone = replicas.evaluate(replicas.build(batch_norms=True))
    assert len(set(alone.values())) == 1
    assert [process["matrices"] for process in processes] == [alone, alone]


def test_a_shuffling_loader_is_refused_where_processes_share_it(processes: list[Any]) -> None:
    assert all("Found a loader with a RandomSampler." in p["refusal"] for p in processes)
