"""docs/channel.md is one script: from one argument to a smaller network, stored and reloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from test_docs import run_blocks

import prunnet_pml as prunnet


def test_the_page_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    create_model = timm.create_model

    def without_download(*arguments: object, pretrained: bool = False, **others: object) -> object:
        return create_model(*arguments, pretrained=False, **others)

    monkeypatch.setattr(timm, "create_model", without_download)
    monkeypatch.chdir(tmp_path)
    images, labels = torch.rand(12, 3, 32, 32), torch.arange(4).repeat(3)
    loader = list(zip(images.split(6), labels.split(6), strict=True))
    found = run_blocks("docs/channel.md", {"num_classes": 4, "loader": loader})
    student, model = found["student"].eval(), found["model"]
    assert type(student) is timm.models.resnet.ResNet
    assert student.layer4[1].conv1.out_channels < 0.25 * 512
    for network in (model, found["again"].eval()):
        with torch.no_grad(), prunnet.capacity(network, 0.2):
            close = torch.nn.functional.cosine_similarity(network(images), student(images))
        assert close.min() > 0.999, "the one on disk is stored as float16"
