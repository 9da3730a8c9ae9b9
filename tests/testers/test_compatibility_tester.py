"""The tester in PML's hooks: PML's own accuracies, every cell beside them, the best by any."""

from __future__ import annotations

import copy
import pickle
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import TinyEmbedder, assert_equal_states, snapshot
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.logging_presets import HookContainer
from records import RecordKeeper
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

import prunnet_pml as prunnet
from prunnet_pml.evaluation import METRICS, CompatibilityMatrix
from prunnet_pml.testers import CompatibilityTester, cell_name

CAPACITIES = (1.0, 0.6, 0.3)
CPU = torch.device("cpu")


@pytest.fixture
def trunk() -> nn.Module:
    """With norm statistics that tell capacities apart, left in the middle of something."""
    trunk = prunnet.make_prunable(TinyEmbedder(), CAPACITIES[1:])
    for capacity in CAPACITIES:
        prunnet.set_capacity(trunk, capacity)
        trunk(torch.randn(16, 1, 8, 8))
    return trunk


@pytest.fixture
def sets() -> dict[str, Dataset]:
    """Labels of two levels: eight classes in three groups."""
    return {
        name: TensorDataset(
            torch.randn(count, 1, 8, 8),
            torch.stack([torch.arange(count) % 8, torch.arange(count) % 3], dim=1),
        )
        for name, count in {"val": 30, "train": 20}.items()
    }


def new_tester(tester_class: type = CompatibilityTester, **kwargs: Any) -> Any:  # noqa: ANN401
    if tester_class is CompatibilityTester:
        kwargs = {"capacities": CAPACITIES[1:], **kwargs}
    calculator = AccuracyCalculator(k="max_bin_count", device=CPU, exclude=("AMI", "NMI"))
    return tester_class(
        data_device=CPU,
        dataloader_num_workers=0,
        batch_size=7,
        **{"accuracy_calculator": calculator, **kwargs},
    )


def by_hand(networks: list[nn.Module], images: Tensor, normalize: bool) -> dict[float, Tensor]:
    found = {}
    for capacity in CAPACITIES:
        prunnet.set_capacity(networks[0], capacity)
        embeddings = nn.Sequential(*networks)(images).detach()
        found[capacity] = nn.functional.normalize(embeddings) if normalize else embeddings
    return found


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("use_trunk_output", [True, False])
@pytest.mark.parametrize(
    "splits", [None, [("val", ["train"])], [("val", ["train", "val"])]], ids=str
)
def test_every_cell_is_that_of_embeddings_made_by_hand(
    trunk: nn.Module,
    sets: dict[str, Dataset],
    splits: list | None,
    use_trunk_output: bool,
    normalize: bool,
) -> None:
    embedder = nn.Linear(4, 3)
    tester = new_tester(use_trunk_output=use_trunk_output, normalize_embeddings=normalize)
    found = tester.test(sets, 1, trunk, embedder, splits)["val"]
    networks = [trunk] if use_trunk_output else [trunk, embedder]
    images, labels = sets["val"].tensors
    query = by_hand(networks, images, normalize)
    gallery, indexed, leave_one_out = query, labels, True
    if splits:
        more, indexed = sets["train"].tensors
        gallery, leave_one_out = by_hand(networks, more, normalize), False
        if splits[0][1] != ["train"]:
            gallery = {c: torch.cat([query[c], gallery[c]]) for c in CAPACITIES}
            indexed, leave_one_out = torch.cat([labels, indexed]), True
    expected = CompatibilityMatrix.from_embeddings(
        query, labels[:, 0], gallery, indexed[:, 0], leave_one_out=leave_one_out
    )
    different = set()
    for metric, q, g in product(METRICS, CAPACITIES, CAPACITIES):
        value = found[f"{cell_name(metric, q, g)}_level0"]
        assert value == pytest.approx(expected.value(metric, q, g), abs=1e-6)
        assert tester.matrices["val"][0].value(metric, q, g) == value
        different.add(value)
    assert len(different) > 12


@pytest.mark.parametrize("level", [0, 1, "all"])
def test_under_pml_s_names_stand_pml_s_accuracies_of_the_dense_network(
    trunk: nn.Module, sets: dict[str, Dataset], level: int | str
) -> None:
    prunnet.set_capacity(trunk, 1.0)
    splits = [("val", ["train"]), ("train", ["train"])]
    expected = new_tester(GlobalEmbeddingSpaceTester, label_hierarchy_level=level).test(
        sets, 5, trunk, splits_to_eval=splits
    )
    prunnet.set_capacity(trunk, 0.3)
    found = new_tester(label_hierarchy_level=level).test(sets, 5, trunk, splits_to_eval=splits)
    for split, accuracies in expected.items():
        shown = {name: found[split][name] for name in accuracies}
        assert shown == pytest.approx(accuracies, abs=1e-6)
    cells = len(METRICS) * len(CAPACITIES) ** 2
    levels = 3 if level == "all" else 1  # the two, and their average
    assert len(found["val"]) == len(expected["val"]) + levels * cells
    if level == "all":
        name = cell_name("recall_at_1", 0.3, 1.0)
        both = [found["val"][f"{name}_level{i}"] for i in (0, 1)]
        assert found["val"][f"AVERAGE_{name}"] == pytest.approx(sum(both) / 2)


def test_a_test_reads_the_images_once_and_leaves_the_network_as_it_was(
    trunk: nn.Module, sets: dict[str, Dataset]
) -> None:
    reads, passes = [], []

    class Counting(Dataset):
        def __len__(self) -> int:
            return 30

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            reads.append(index)
            return sets["val"][index][0], index % 8

    trunk.register_forward_hook(lambda *_: passes.append(prunnet.get_capacity(trunk)))
    before = snapshot(trunk)
    tester = new_tester()
    tester.test({"val": Counting()}, 1, trunk)
    assert reads == list(range(30))
    assert passes == list(CAPACITIES) * 5  # batches of 7
    assert prunnet.get_capacity(trunk) == 0.3
    assert_equal_states(trunk, before)


def test_its_embeddings_for_other_uses_are_pml_s(
    trunk: nn.Module, sets: dict[str, Dataset]
) -> None:
    """As examples of PML call it, at the capacity that the network is at."""
    found = new_tester().get_all_embeddings(sets["val"], trunk)
    expected = new_tester(GlobalEmbeddingSpaceTester).get_all_embeddings(sets["val"], trunk)
    assert found[0].equal(expected[0])
    assert found[1].equal(expected[1])


class Trainer:
    """What the hooks ask of a trainer; its model is better or worse at one cell in every epoch."""

    def __init__(self, trunk: nn.Module) -> None:
        self.models = {"trunk": trunk, "embedder": nn.Identity()}
        self.epoch = 0

    def step_lr_plateau_schedulers(self, accuracy: float) -> None:
        self.accuracy = accuracy


def test_the_best_model_is_kept_by_a_chosen_cell(
    tmp_path: Path, trunk: nn.Module, sets: dict[str, Dataset]
) -> None:
    cell = cell_name("mean_average_precision", query=0.3, gallery=1.0)
    keeper = RecordKeeper()
    hooks = HookContainer(keeper, primary_metric=cell, validation_split_name="val")
    tester = new_tester(end_of_testing_hook=hooks.end_of_testing_hook)
    end_of_epoch = hooks.end_of_epoch_hook(tester, {"val": sets["val"]}, str(tmp_path), patience=5)
    trainer = Trainer(trunk)
    values, states = {}, {}
    for trainer.epoch in range(1, 6):
        with torch.no_grad():
            for scores in prunnet.score_parameters(trunk):
                scores.copy_(torch.randn_like(scores))
        assert end_of_epoch(trainer)
        values[trainer.epoch] = trainer.accuracy
        states[trainer.epoch] = snapshot(trunk)
        assert trainer.accuracy == tester.matrices["val"][0].value(
            "mean_average_precision", query=0.3, gallery=1.0
        )
    best = max(values, key=values.__getitem__)
    assert 1 < best < 5  # neither the first nor the last, so that either would show
    assert (tmp_path / f"trunk_best{best}.pth").exists()
    hooks.load_latest_saved_models(trainer, str(tmp_path), CPU, best=True)
    assert_equal_states(trunk, states[best])
    history = hooks.get_accuracy_history(tester, "val", metrics=[cell])
    assert history[f"{cell}_level0"] == pytest.approx(list(values.values()))
    keeper.close()


def test_a_best_cell_that_is_not_tested_is_refused_before_training() -> None:
    hooks = HookContainer(RecordKeeper(), primary_metric=cell_name("recall_at_1", 0.5, 1.0))
    with pytest.raises(ValueError, match="`primary_metric` must be one of"):
        hooks.end_of_epoch_hook(new_tester(), {}, "")
    hooks.record_keeper.close()


def test_errors_say_what_to_change(sets: dict[str, Dataset]) -> None:
    with pytest.raises(ValueError, match="`pca` should be None"):
        new_tester(pca=2)
    with pytest.raises(ValueError, match=r"`capacities` should be in \(0, 1\]"):
        new_tester(capacities=[2])
    with pytest.raises(ValueError, match="`model` should be a prunable network"):
        new_tester().test(sets, 1, TinyEmbedder())


def test_a_tester_is_copied_and_pickled() -> None:
    tester = new_tester()
    for twin in (copy.deepcopy(tester), pickle.loads(pickle.dumps(tester))):
        metrics = tester.accuracy_calculator.get_curr_metrics()
        assert twin.accuracy_calculator.get_curr_metrics() == metrics
