"""Every example runs from its first line to its last, for a few steps, and leaves what it says."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import few_glyphs
import pytest
import timm
import torch

import prunnet_pml.datasets

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Runs an example as a command, in an empty folder, on little data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prunnet_pml.datasets, "Glyphs", few_glyphs.FewGlyphs)

    def run_example(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run_example


def test_plain_loop_leaves_a_student_that_timm_loads(
    run: Callable[..., None], capsys: pytest.CaptureFixture
) -> None:
    run("plain_loop.py", "--steps", "2")
    assert "| 20% |" in capsys.readouterr().out
    plain = timm.create_model("test_resnet", in_chans=1, num_classes=64)
    plain.load_state_dict(torch.load("student.pt"))


def test_keep_gallery_searches_the_old_gallery(run: Callable[..., None]) -> None:
    run("keep_gallery.py", "--steps", "2", "--dense-steps", "2")
    results = json.loads(Path("keep_gallery.json").read_text())
    anchored = results["recall_at_1_in_the_old_gallery"]["anchored"]
    assert anchored.keys() == {"1", "0.8", "0.6", "0.4", "0.2"}


def test_fine_tune_starts_from_a_checkpoint_on_disk(run: Callable[..., None]) -> None:
    state = timm.create_model("mobilenetv2_100", num_classes=0).state_dict()
    torch.save({f"other.{i}": tensor for i, tensor in enumerate(state.values())}, "weights.pt")
    run("fine_tune.py", "--steps", "1", "--batch-size", "4", "--weights", "weights.pt")
    assert json.loads(Path("fine_tune.json").read_text())["steps"] == 1


def test_fine_tune_refuses_the_checkpoint_of_another_network(run: Callable[..., None]) -> None:
    torch.save(timm.create_model("test_resnet").state_dict(), "weights.pt")
    with pytest.raises(ValueError, match="`weights` should hold the tensors of mobilenetv2_100"):
        run("fine_tune.py", "--steps", "1", "--weights", "weights.pt")


def test_pml_trainer_searches_the_servers_gallery_from_the_device(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run("pml_trainer.py", "--epochs", "1")
    assert "nearest in the server's gallery" in capsys.readouterr().out
    assert Path("gallery.index").exists()


def test_distributed_runs_under_torchrun(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    example = [few_glyphs.__file__, str(EXAMPLES / "distributed.py"), "--steps", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, *example], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("R@1, query") == 1
