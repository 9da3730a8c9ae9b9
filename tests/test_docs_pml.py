"""docs/pml.md is one script: from PML's trainer to a device that searches the server's gallery."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from records import RecordKeeper
from test_docs import blocks, run_blocks
from torch.utils.data import TensorDataset
from typer.testing import CliRunner

from prunnet_pml import cli

PAGE = "docs/pml.md"


def test_the_page_runs_from_top_to_bottom(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # PML would send images there
    images, labels = torch.rand(32, 3, 32, 32), torch.arange(32) % 4
    keeper = RecordKeeper()
    found = run_blocks(
        PAGE,
        {
            "trunk": timm.create_model("test_resnet", num_classes=64),
            "dataset": TensorDataset(images, labels),
            "val_set": TensorDataset(images[:12], labels[:12]),
            "num_classes": 4,
            "images": images[:5],
            "record_keeper": keeper,
        },
    )
    keeper.close()
    assert found["indices"].shape == (5, 3)
    assert len(found["history"]["epoch"]) == 2
    printed = capsys.readouterr().out
    assert "| 20% |" in printed  # "to_markdown()"
    assert "(1.0, 0.2)" in printed  # "# (1.0, 0.2)"
    [command] = "".join(blocks(PAGE, "bash")).split("\n\n")[-1].strip().splitlines()
    result = CliRunner().invoke(cli.app, command.split()[1:])
    assert result.exit_code == 0, result.output
