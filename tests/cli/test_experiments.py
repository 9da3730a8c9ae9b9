"""``prunnet configs``, ``train`` and ``evaluate``, as a shell calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine_runs import config, forget_runs
from typer.testing import CliRunner

from prunnet_pml.cli import app
from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.registry.mmengine.bundled_configs import bundled_configs, load_config
from prunnet_pml.registry.mmengine.evaluating import evaluate_checkpoint

TESTS = Path(__file__).parent.parent
pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on torch 2.15 and numpy 2.4
    "ignore:.*:DeprecationWarning:mmengine",
    "ignore:.*:FutureWarning:mmengine",
)


@pytest.fixture(autouse=True)
def _fresh_mmengine() -> Iterator[None]:
    yield
    forget_runs()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config of one's own, and what one epoch of ``prunnet train`` leaves in ``work/``."""
    folder = tmp_path_factory.mktemp("experiment")
    found = config(folder)
    found.pop("work_dir")
    found.dump(folder / "mine.py")
    arguments = ["train", str(folder / "mine.py"), "--work-dir", str(folder / "work")]
    changes = ["--cfg-options", "train_cfg.max_epochs=1", "train_dataloader.batch_size=64"]
    result = CliRunner().invoke(app, [*arguments, *changes])
    forget_runs()
    assert result.exit_code == 0, result.output
    return folder


def test_configs_lists_each_with_what_it_is() -> None:
    result = CliRunner().invoke(app, ["configs"])
    assert result.exit_code == 0
    expected = bundled_configs()
    listed = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert dict(listed) == expected
    assert json.loads(CliRunner().invoke(app, ["configs", "--json"]).stdout) == expected


def test_train_takes_several_options_after_one_flag(folder: Path) -> None:
    state = torch.load(folder / "work" / "epoch_1.pth", weights_only=True)
    assert state["meta"]["epoch"] == 1
    assert state["meta"]["iter"] == 3  # 192 images in batches of 64; 4 in the file's own of 48
    assert not (folder / "work" / "epoch_2.pth").exists()


def test_train_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    options = ["--cfg-options", "train_dataloader.batch_size=64", "val_dataloader=None"]
    options += ["val_cfg=None", "val_evaluator=None", "--resume"]
    (tmp_path / "epoch_1.pth").write_bytes((folder / "work" / "epoch_1.pth").read_bytes())
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_1.pth"))
    arguments = ["train", str(folder / "mine.py"), "--work-dir", str(tmp_path), *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    meta = torch.load(tmp_path / "epoch_2.pth", weights_only=True)["meta"]
    assert (meta["epoch"], meta["iter"]) == (2, 6)
    assert len([*tmp_path.glob("epoch_*.pth")]) == 2


def test_evaluate_prints_and_writes_the_matrix(folder: Path, tmp_path: Path) -> None:
    file = str(folder / "work" / "epoch_1.pth")
    arguments = ["evaluate", str(folder / "mine.py"), file, "--capacities", "0.3,1"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "matrix.json")])
    assert result.exit_code == 0, result.output
    expected = evaluate_checkpoint(load_config(folder / "mine.py"), file, [1, 0.3])
    assert result.stdout == expected.to_markdown("recall_at_1")
    assert (tmp_path / "matrix.json").read_text() == expected.to_json()
    found = CliRunner().invoke(app, [*arguments, "--metric", "mean_average_precision_at_r"])
    assert found.stdout == expected.to_markdown("mean_average_precision_at_r")


@pytest.mark.filterwarnings("default::prunnet_pml.InterpolationWarning")
def test_a_warning_is_one_line_beside_the_result(folder: Path) -> None:
    arguments = [str(folder / "mine.py"), str(folder / "work" / "epoch_1.pth")]
    result = CliRunner().invoke(app, ["evaluate", *arguments, "--capacities", "0.5,1"])
    assert result.exit_code == 0, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("Warning: Capacities without norm statistics of their own ")
    assert result.stdout.startswith("| R@1")


def test_evaluate_prints_json_and_nothing_else(folder: Path) -> None:
    file = str(folder / "work" / "epoch_1.pth")
    changes = ["--cfg-options", "val_dataloader.batch_size=16", "val_dataloader.num_workers=0"]
    result = CliRunner().invoke(
        app, ["evaluate", str(folder / "mine.py"), *changes, file, "--json"]
    )
    assert result.exit_code == 0, result.output
    assert CompatibilityMatrix.from_json(result.stdout).query_capacities == (1.0, 0.6, 0.3)


BY_CONFIG = ["CONFIG", "FILE"]
BAD = {
    "config": (["mine", "FILE"], "`config` should be the path of a config"),
    "option": ([*BY_CONFIG, "--cfg-options", "train_cgf.x=1"], "Did you mean 'train_cfg'"),
    "capacities": ([*BY_CONFIG, "--capacities", "0.2;1"], "numbers with commas"),
    "capacity": ([*BY_CONFIG, "--capacities", "2"], "`capacities` should be in (0, 1]"),
    "checkpoint": (["CONFIG", "CONFIG"], "`checkpoint` should hold tensors"),
    "metric": ([*BY_CONFIG, "--metric", "x"], "`metric` should be one of"),
    "neither": (["FILE"], "before the checkpoint. Found neither"),
    "both": ([*BY_CONFIG, "--data", "glyphs"], "without. Found"),
}


@pytest.mark.parametrize(("arguments", "reason"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    folder: Path, arguments: list[str], reason: str
) -> None:
    paths = {"CONFIG": str(folder / "mine.py"), "FILE": str(folder / "work" / "epoch_1.pth")}
    result = CliRunner().invoke(app, ["evaluate", *(paths.get(a, a) for a in arguments)])
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert reason in line


UNKNOWN_KEYS = [
    "train_cfg.max_epoch",
    "val_cfg.fp61",
    "train_dataloader.batchsize",
    "train_dataloader.sampler.shufle",
    "optim_wrapper.optimizer.learning_rate",
    "param_scheduler.gama",
    "model.backbone.nme",
]


@pytest.mark.parametrize("key", UNKNOWN_KEYS)
def test_a_key_that_nothing_takes_is_named(folder: Path, tmp_path: Path, key: str) -> None:
    arguments = ["train", str(folder / "mine.py"), "--work-dir", str(tmp_path)]
    result = CliRunner().invoke(app, [*arguments, "--cfg-options", f"{key}=2"])
    assert result.exit_code == 2, result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"Error: `config` should hold what its components take. Found `{key}`: ")
    assert not [*tmp_path.glob("*.pth")]


def test_a_key_that_nothing_takes_is_named_by_evaluate(folder: Path) -> None:
    arguments = [str(folder / "mine.py"), str(folder / "work" / "epoch_1.pth")]
    change = ["--cfg-options", "val_dataloader.dataset.sizes=2"]
    result = CliRunner().invoke(app, ["evaluate", *arguments, *change])
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert "Found `val_dataloader.dataset.sizes`: " in line


@pytest.mark.slow
def test_train_runs_under_torchrun_without_a_gpu(folder: Path, tmp_path: Path) -> None:
    """Two processes share the batches; one saves, in a folder by the config's name."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = ["-m", "prunnet_pml.cli", "train", str(folder / "mine.py")]
    wrapper = "model_wrapper_cfg.type=prunnet_pml.PrunableDistributedDataParallel"
    options = ["--cfg-options", "train_cfg.max_epochs=1", wrapper]
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [*torchrun, *command, *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    file = tmp_path / "work_dirs" / "mine" / "epoch_1.pth"
    assert torch.load(file, weights_only=True)["meta"]["iter"] == 2  # 192 images in 2 x 48
    result = CliRunner().invoke(app, ["evaluate", str(folder / "mine.py"), str(file)])
    assert result.exit_code == 0, result.output
