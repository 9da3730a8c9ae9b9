"""A checkpoint of the Runner scored at any capacity, without trust in the file."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine_runs import config, forget_runs, train

import prunnet_pml as prunnet
from prunnet_pml.registry.mmengine.evaluating import evaluate_checkpoint
from prunnet_pml.registry.mmengine.reading import read_checkpoint

pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Config, Runner, Path]]:
    """A config, the Runner that trained it, and its checkpoint."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("trained")
    found = config(folder, train_cfg={"max_epochs": 1, "by_epoch": True})
    runner = train(found)
    yield found, runner, folder / "epoch_1.pth"
    forget_runs()


def test_the_matrix_is_that_of_the_last_validation(
    trained: tuple[Config, Runner, Path],
) -> None:
    found, runner, file = trained
    [metric] = runner.val_evaluator.metrics
    matrix = evaluate_checkpoint(found, file)
    assert matrix.to_json() == metric.matrix.to_json()
    assert matrix.trained_capacities == (0.6, 0.3)


@pytest.mark.filterwarnings("error:Capacities:UserWarning")
def test_an_untrained_capacity_with_statistics_of_its_own_is_no_warning(tmp_path: Path) -> None:
    """The checkpoint brings some for 0.8 and 0.2, and none for 0.45."""
    hook = {"type": "prunnet_pml.NormCalibrationHook", "num_batches": 2, "capacities": [0.2, 0.8]}
    found = config(tmp_path, train_cfg={"max_epochs": 1, "by_epoch": True})
    found.custom_hooks.append(hook)
    runner = train(found)
    file = tmp_path / "epoch_1.pth"
    matrix = evaluate_checkpoint(found, file, (1.0, 0.8, 0.2))
    with pytest.warns(
        UserWarning, match=r"Found 0\.45, where those of 0\.2, 0\.3, 0\.6, 0\.8, 1 are known"
    ):
        evaluate_checkpoint(found, file, (1.0, 0.8, 0.45))
    split = runner.val_dataloader.dataset
    images = (torch.stack([image for image, _ in split]), split.labels)
    network = runner.model.backbone.eval()
    expected = prunnet.evaluate(network, images, capacities=(1.0, 0.8, 0.2))
    assert matrix.value("recall_at_1", 0.2, 1.0) == expected.value("recall_at_1", 0.2, 1.0)
    saved = torch.load(file, weights_only=True)["state_dict"]
    assert saved["backbone.bn1.capacity_num_batches_tracked"].tolist() == [2, 2, 2, 2]


def test_statistics_of_an_earlier_network_are_not_kept(tmp_path: Path) -> None:
    """The third epoch is not calibrated, and keeps nothing of the second."""
    hook = {"type": "prunnet_pml.NormCalibrationHook", "interval": 2, "capacities": [0.2]}
    found = config(tmp_path, train_cfg={"max_epochs": 3, "by_epoch": True})
    found.custom_hooks.append(hook)
    train(found)
    sets = [
        len(torch.load(file, weights_only=True)["state_dict"]["backbone.bn1.capacity_running_mean"])
        for file in sorted(tmp_path.glob("epoch_*.pth"))
    ]
    assert sets == [2, 3, 2]


def test_untrained_capacities_are_scored_as_evaluate_does_and_a_warning_says_so(
    trained: tuple[Config, Runner, Path],
) -> None:
    found, runner, file = trained
    capacities = (1.0, 0.45, 0.3)
    with pytest.warns(UserWarning, match=r"interpolated ones.* Found 0\.45, where"):
        matrix = evaluate_checkpoint(found, file, (0.3, 1, 0.45))
    expected = prunnet.evaluate(
        runner.model.backbone, runner.val_dataloader.dataset, capacities=capacities
    )
    assert json.loads(matrix.to_json()) == json.loads(expected.to_json())


def test_a_saved_state_dict_serves_as_well(
    trained: tuple[Config, Runner, Path], tmp_path: Path
) -> None:
    found, runner, file = trained
    torch.save(runner.model.state_dict(), tmp_path / "weights.pt")
    one, other = (
        evaluate_checkpoint(found, tmp_path / "weights.pt"),
        evaluate_checkpoint(found, file),
    )
    assert one.to_json() == other.to_json()


class Bomb:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


def test_a_pickle_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"weight": Bomb()}}, "bomb.pth")
    Path("plain.pkl").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("bomb.pth", "plain.pkl"):
        with pytest.raises(ValueError, match="should hold tensors, numbers and text alone"):
            read_checkpoint(name)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("content", [{}, [1, 2], {"state_dict": {}}, {1: torch.ones(1)}], ids=str)
def test_a_file_without_weights_is_an_error(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="should hold weights by name"):
        read_checkpoint(tmp_path / "other.pth")


def test_a_truncated_or_missing_file_is_an_error(
    trained: tuple[Config, Runner, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "cut.pth"
    shutil.copy(trained[2], copy)
    copy.write_bytes(copy.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"`checkpoint` should .*cut\.pth"):
        read_checkpoint(copy)
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "missing.pth")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02.", bytes(range(256))], ids=repr)
def test_a_file_of_something_else_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"`checkpoint` should hold tensors.*other\.pth"):
        read_checkpoint(tmp_path / "other.pth")


CHANGES = {
    "another network": ("model.backbone", {"name": "test_vit", "img_size": 32}, "`checkpoint`"),
    "another size": ("model.loss.num_classes", 9, "`checkpoint` should fit.*size mismatch"),
    "no validation": ("val_evaluator", None, "should have a `val_evaluator`"),
    "another metric": (
        "val_evaluator",
        {"type": "DumpResults", "out_file_path": "x.pkl", "_delete_": True},
        r"should have a CompatibilityMetric\. Found \['DumpResults'\]",
    ),
}


@pytest.mark.parametrize(("key", "value", "reason"), CHANGES.values(), ids=CHANGES)
def test_a_config_that_does_not_go_with_it_is_an_error(
    trained: tuple[Config, Runner, Path], key: str, value: object, reason: str
) -> None:
    found, _, file = trained
    other = found.copy()
    other.merge_from_dict({key: value})
    with pytest.raises(ValueError, match=reason):
        evaluate_checkpoint(other, file)


def test_a_plain_network_has_the_capacity_that_it_was_trained_at(tmp_path: Path) -> None:
    found = config(tmp_path, **{"model.type": "prunnet_pml.DenseEmbedder"})
    found.model.pop("capacities")
    model = MODELS.build(found.model)
    torch.save(model.state_dict(), tmp_path / "dense.pt")
    assert evaluate_checkpoint(found, tmp_path / "dense.pt").query_capacities == (1.0,)
    with pytest.raises(ValueError, match=r"of a PrunableEmbedder\. Found a DenseEmbedder"):
        evaluate_checkpoint(found, tmp_path / "dense.pt", (0.5,))


@pytest.mark.parametrize("capacities", [(), (0.2, 0.2), (1.2,), (0.0,)], ids=str)
def test_bad_capacities_are_an_error(
    trained: tuple[Config, Runner, Path], capacities: tuple[float, ...]
) -> None:
    found, _, file = trained
    with pytest.raises(ValueError, match=r"^`capacities` should "):
        evaluate_checkpoint(found, file, capacities)
