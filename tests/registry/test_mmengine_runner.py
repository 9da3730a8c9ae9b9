"""The stock Runner of mmengine trains every capacity, and goes on where it stopped."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import HOOKS, METRICS
from mmengine.runner import Runner, set_random_seed
from mmengine_runs import config, forget_runs, state, train

import prunnet_pml as prunnet
from prunnet_pml.record_names import cell_name
from prunnet_pml.space import space_id

LOSSES = ("metric_loss", "metric_loss_at_60", "metric_loss_at_30")
pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    yield
    forget_runs()


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [key for key, value in one.items() if not value.equal(other[key])] == []


SETTINGS = {
    "plain": {},
    "clipped": {"clip_grad": {"max_norm": 0.5}},
    "accumulated, a remainder of two": {"accumulative_counts": 3},
    "none between trained capacities": {"between": 0},
    "bfloat16": {"bfloat16": True},
    "all of it, as the authors' code": {
        "bfloat16": True,
        "accumulative_counts": 2,
        "clip_grad": {"max_norm": 0.5},
        "shared": "dense",
        "subnetworks_per_step": 2,
        "integration": {"type": "ConflictAware", "projection": "last"},
    },
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_runner_takes_the_steps_of_the_plain_loop(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """From a config alone, without an import of the registry: the same weights to the bit."""
    changes = {f"optim_wrapper.{name}": value for name, value in settings.items()}
    changes |= dict.fromkeys(["val_dataloader", "val_cfg", "val_evaluator"])
    runner = Runner.from_cfg(config(tmp_path, **changes))
    model = copy.deepcopy(runner.model)
    runner.train()

    backbone = model.backbone
    loss_func = prunnet.CompatibleLoss(model.loss_func.loss, backbone)
    paper = "integration" in settings
    optimizer = prunnet.ConflictAwareOptimizer(
        torch.optim.AdamW([*backbone.parameters(), *loss_func.parameters()], lr=0.01),
        backbone,
        prunnet.ConflictAware("last") if paper else None,
        shared="dense" if paper else "sum",
        subnetworks_per_step=2 if paper else 1,
        between=settings.get("between", 0.5),
    )
    parameters = optimizer.param_groups[0]["params"]
    count = settings.get("accumulative_counts", 1)
    cast = torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in settings)
    backbone.train()
    for epoch in range(2):
        set_random_seed((2_654_435_761 + epoch) % 2**31)
        runner.train_dataloader.sampler.set_epoch(epoch)
        for index, (images, labels) in enumerate(runner.train_dataloader, start=4 * epoch):
            together = 2 if count == 3 and index >= 6 else count
            for _ in optimizer.capacities():
                with cast:
                    loss = loss_func(backbone(images), labels)
                (loss / together).backward()
            if (index + 1) % count == 0 or index == 7:
                if "clip_grad" in settings:
                    torch.nn.utils.clip_grad_norm_(parameters, 0.5)
                optimizer.step()
        optimizer.param_groups[0]["lr"] /= 2
    assert index == 7
    assert_equal(state(runner), model.state_dict())


def test_the_losses_of_all_capacities_are_in_the_log(tmp_path: Path) -> None:
    runner = train(config(tmp_path, **{"optim_wrapper.subnetworks_per_step": None}))
    scalars = runner.message_hub.log_scalars
    each = [scalars[f"train/{name}"] for name in LOSSES]
    for total, *parts in zip(
        scalars["train/loss"].data[0], *(s.data[0] for s in each), strict=True
    ):
        assert total == pytest.approx(sum(parts), rel=1e-5)


def test_losses_between_trained_capacities_are_logged_as_the_larger(tmp_path: Path) -> None:
    runner = train(config(tmp_path, **{"optim_wrapper.between": 0.9}))
    names = {name.removeprefix("train/") for name in runner.message_hub.log_scalars}
    found = {name for name in names if name.startswith("metric_loss")}
    assert len(found) > 1
    assert found <= set(LOSSES)


def test_validation_scores_what_evaluate_scores_and_the_best_is_kept(tmp_path: Path) -> None:
    best = f"compatibility/{cell_name('recall_at_1', 0.3, 1.0)}"
    changes = {"default_hooks.checkpoint": {"save_best": best, "rule": "greater", "interval": 1}}
    runner = train(config(tmp_path, **changes))
    [metric] = runner.val_evaluator.metrics
    expected = prunnet.evaluate(runner.model.backbone, runner.val_dataloader.dataset)
    assert metric.matrix.to_json() == expected.to_json()
    found = runner.message_hub.get_scalar(f"val/{best}").data[0]
    assert found[-1] == expected.value("recall_at_1", 0.3, 1.0)
    [kept] = tmp_path.glob("best_*.pth")
    assert kept.stem.endswith(f"_epoch_{1 + int(found.argmax())}")


@pytest.mark.parametrize("trusted", [False, True], ids=["plain", "mmengine's"])
def test_a_checkpoint_opens_without_trust_only_if_the_hook_saved_it(
    tmp_path: Path, trusted: bool
) -> None:
    hooks = [] if trusted else [{"type": "prunnet_pml.PlainCheckpointHook"}]
    train(config(tmp_path, custom_hooks=hooks, train_cfg={"max_epochs": 1, "by_epoch": True}))
    file = tmp_path / "epoch_1.pth"
    if trusted:
        with pytest.raises(pickle.UnpicklingError):
            torch.load(file, weights_only=True)
    else:
        assert torch.load(file, weights_only=True)["meta"]["epoch"] == 1


BY_ITERATION = {
    "train_cfg": {"_delete_": True, "by_epoch": False, "max_iters": 6, "val_interval": 1},
    "train_dataloader.sampler": {"type": "InfiniteSampler"},
    "param_scheduler": None,
    "default_hooks.checkpoint": {"by_epoch": False, "interval": 2},
    "optim_wrapper.accumulative_counts": 2,
}


CHANNELS = {"model.granularity": "channel", "model.round_to": 2}


@pytest.mark.parametrize(
    ("changes", "half", "end"),
    [({}, "epoch_1.pth", 8), (BY_ITERATION, "iter_2.pth", 6), (CHANNELS, "epoch_1.pth", 8)],
    ids=["by epoch", "by iteration", "channels"],
)
def test_a_resumed_training_ends_at_the_same_weights_to_the_bit(
    changes: dict[str, Any], half: str, end: int, tmp_path: Path
) -> None:
    changes = {"model.backbone.drop_rate": 0.2, **changes}
    whole = train(config(tmp_path / "whole", **changes))
    changes |= {"load_from": str(tmp_path / "whole" / half), "resume": True}
    resumed = Runner.from_cfg(config(tmp_path / "resumed", **changes))
    before = state(resumed)
    resumed.train()
    assert resumed.iter == end
    assert_equal(state(whole), state(resumed))
    scores = [key for key in before if key.endswith(".scores")]
    assert not any(before[key].equal(state(resumed)[key]) for key in scores)
    assert space_id(resumed.model.backbone) == space_id(whole.model.backbone)
    one, other = (r.message_hub.log_scalars["train/loss"].data[0] for r in (whole, resumed))
    assert one.tolist() == other.tolist()
    assert resumed.optim_wrapper.optimizer._steps == whole.optim_wrapper.optimizer._steps


def test_of_granularity_channel_a_student_is_smaller_and_computes_the_same(tmp_path: Path) -> None:
    network = train(config(tmp_path, **CHANNELS)).model.backbone.eval()
    student = prunnet.prune(network, 0.3)
    sizes = [sum(p.numel() for p in n.parameters()) for n in (student, network)]
    assert sizes[0] < 0.6 * sizes[1]
    images = torch.rand(4, 1, 32, 32)
    with torch.no_grad(), prunnet.capacity(network, 0.3):
        torch.testing.assert_close(student(images), network(images), rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_other_capacities_than_the_configs_is_a_warning(tmp_path: Path) -> None:
    """mmengine copies tensors by functions of its own."""
    train(config(tmp_path, train_cfg={"max_epochs": 1, "by_epoch": True}))
    runner = Runner.from_cfg(config(tmp_path / "other", **{"model.capacities": (0.6, 0.45)}))
    message = r"not trained at the capacities \[0\.45\].* trained at the capacities \[0\.3\]"
    with pytest.warns(UserWarning, match=message):
        runner.load_checkpoint(str(tmp_path / "epoch_1.pth"))
    mean, means = (state(runner)[f"backbone.bn1.{n}running_mean"] for n in ("", "capacity_"))
    torch.testing.assert_close(means[2], (means[0] + means[1]) / 2)  # at 0.45
    assert not means[0].equal(mean)


def test_calibrated_norms_are_in_the_checkpoint_and_draw_nothing(tmp_path: Path) -> None:
    hook = {"type": "prunnet_pml.NormCalibrationHook", "num_batches": 2}
    plain = config(tmp_path / "plain")
    calibrated = copy.deepcopy(plain)
    calibrated.work_dir = str(tmp_path / "calibrated")
    calibrated.custom_hooks.append(hook)
    without, with_hook = state(train(plain)), train(calibrated)
    saved = torch.load(tmp_path / "calibrated" / "epoch_2.pth", weights_only=True)["state_dict"]
    differing = {key.rpartition(".")[2] for key in saved if not saved[key].equal(without[key])}
    norms = {"running_mean", "running_var", "num_batches_tracked"}
    assert differing == norms | {f"capacity_{name}" for name in norms}
    assert_equal(saved, state(with_hook))
    assert int(saved["backbone.bn1.num_batches_tracked"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_batches": 0}, r"`num_batches` should be at least 1\. Found 0"),
        ({"interval": 1.5}, r"`interval` should be at least 1\. Found 1\.5"),
        ({"capacities": [0.5, 1.2]}, r"`capacities` should .* Found"),
        ({"capacities": [1.0]}, r"`capacities` should be below 1"),
        ({"capacities": 0.5}, r"`capacities` should be a sequence of capacities\. Found 0\.5"),
    ],
)
def test_calibration_says_what_it_takes(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HOOKS.build({"type": "prunnet_pml.NormCalibrationHook", **arguments})


def test_calibration_beside_an_average_is_refused(tmp_path: Path) -> None:
    """What is saved and validated would be the average, which it doesn't calibrate."""
    found = config(tmp_path)
    found.custom_hooks += [{"type": "prunnet_pml.NormCalibrationHook"}, {"type": "EMAHook"}]
    with pytest.raises(ValueError, match=r"NormCalibrationHook or EMAHook\. Found both"):
        train(found)


def test_curve_and_matrix_are_drawn_and_logged_at_each_validation(tmp_path: Path) -> None:
    changes = {"custom_hooks": [{"type": "prunnet_pml.CapacityCurveHook"}], "log_level": "INFO"}
    changes["visualizer"] = {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]}
    runner = train(config(tmp_path, **changes))
    names = sorted(file.name for file in tmp_path.rglob("vis_image/*.png"))
    assert names == [
        f"{name}_{iteration}.png"
        for name in ("capacity_curve", "compatibility_matrix")
        for iteration in (4, 8)
    ]
    [scalars] = tmp_path.rglob("vis_data/scalars.json")
    assert "compatibility/recall_at_1_query_30_gallery_100" in scalars.read_text()
    [log] = tmp_path.rglob("*.log")
    [metric] = runner.val_evaluator.metrics
    assert log.read_text().count(metric.matrix.to_markdown("recall_at_1")) >= 1


@pytest.mark.parametrize(
    ("key", "value"), [("custom_hooks.0.metric", "nope"), ("val_evaluator.scalars", ["nope"])]
)
def test_a_metric_that_there_is_not_is_refused_before_the_first_step(
    tmp_path: Path, key: str, value: object
) -> None:
    found = config(tmp_path, custom_hooks=[{"type": "prunnet_pml.CapacityCurveHook"}])
    found.merge_from_dict({key: value})
    runner = Runner.from_cfg(found)
    with pytest.raises(ValueError, match=r"should be one of \['recall_at_1', .*Found 'nope'"):
        runner.train()
    assert runner.iter == 0


def test_one_metric_is_no_list_of_letters() -> None:
    with pytest.raises(ValueError, match=r"`scalars` should be a list .* Found 'recall_at_1'"):
        METRICS.build({"type": "prunnet_pml.CompatibilityMetric", "scalars": "recall_at_1"})


def test_the_runner_keeps_pretrained_weights(tmp_path: Path) -> None:
    """timm's networks have an init_weights, which mmengine calls on what it finds it in."""
    runner = Runner.from_cfg(config(tmp_path))
    before = state(runner)
    runner._init_model_weights()
    assert_equal(before, state(runner))


def test_a_plain_optimizer_wrapper_is_refused(tmp_path: Path) -> None:
    runner = Runner.from_cfg(config(tmp_path, **{"optim_wrapper.type": "OptimWrapper"}))
    with pytest.raises(ValueError, match=r"ConflictAwareOptimWrapper\. Found OptimWrapper\."):
        runner.train()


def test_a_model_that_brings_one_loss_is_told_what_to_set(tmp_path: Path) -> None:
    """So is everybody who leaves the model wrapper out on several processes."""
    runner = Runner.from_cfg(config(tmp_path))
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    with pytest.raises(RuntimeError, match=r"PrunableDistributedDataParallel"):
        wrapper.update_params(torch.zeros(()))
