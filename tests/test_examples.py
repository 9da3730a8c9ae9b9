"""Every example runs from its first line to its last, for a few steps, and leaves what it says."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

import prunnet_pml.datasets

EXAMPLES = Path(__file__).parent.parent / "examples"


class FewGlyphs(prunnet_pml.datasets.Glyphs):
    """Twelve characters of each split: an evaluation of seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        kept = self.labels < 12
        self.images, self.labels = self.images[kept], self.labels[kept]
        self.characters = self.characters[:12]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Runs an example as a command, in an empty folder, on little data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prunnet_pml.datasets, "Glyphs", FewGlyphs)

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
