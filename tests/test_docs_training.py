"""docs/training.md runs as it is written, and what it says beside the code is so."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import TinyEmbedder
from test_docs import run_blocks
from torch import nn

import prunnet_pml as prunnet


@pytest.fixture(scope="module")
def page() -> dict[str, object]:
    torch.manual_seed(0)
    network = TinyEmbedder()
    network.head = nn.Linear(8, 16)
    images, labels = torch.randn(12, 1, 8, 8), torch.arange(4).repeat(3)
    loader = list(zip(images.split(6), labels.split(6), strict=True))
    return run_blocks(
        "docs/training.md",
        {
            "network": network,
            "num_classes": 4,
            "loader": loader,
            "device": "cpu",
            "first": images[:6],
            "second": images[6:] + 0.1,
            "labels": labels[:6],
        },
    )


def test_the_student_is_that_of_the_average(page: dict[str, object]) -> None:
    average, student = page["average"].module, page["student"]
    assert type(student) is TinyEmbedder
    batch = torch.randn(3, 1, 8, 8)
    with prunnet.capacity(average.eval(), 0.2), torch.no_grad():
        torch.testing.assert_close(student(batch), average(batch))
    assert set(average.bn1.set_capacities) == {n / 10 for n in range(1, 10)}
    assert page["schedule"].last_epoch == 1  # two batches are one step
    assert page["optimizer"].skipped_steps == 0


def test_the_states_that_it_names_resume_to_the_bit(page: dict[str, object]) -> None:
    names = ("model", "loss_func", "optimizer", "schedule")
    again = copy.deepcopy({name: page[name] for name in names})
    states = {name: copy.deepcopy(page[name].state_dict()) for name in names}
    ends = []
    for parts in (page, again):
        if parts is again:
            for name, state in states.items():
                again[name].load_state_dict(state)
        for images, labels in page["loader"]:
            for _ in parts["optimizer"].capacities():
                parts["loss_func"](parts["model"](images), labels).backward()
            parts["optimizer"].step()
            parts["schedule"].step()
        ends.append(parts["model"].state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_zeros_of_a_student_come_back(page: dict[str, object]) -> None:
    student = page["student"]
    zeros = {name: p == 0 for name, p in student.named_parameters()}
    assert zeros["conv2.weight"].float().mean() > 0.75
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    student.train()(torch.randn(6, 1, 8, 8)).square().sum().backward()
    optimizer.step()
    assert not (student.conv2.weight[zeros["conv2.weight"]] == 0).any()
    page["put_back_zeros"]()
    assert torch.equal(student.conv2.weight == 0, zeros["conv2.weight"])


def test_attention_of_torch_is_scored_in_part() -> None:
    model = prunnet.make_prunable(nn.MultiheadAttention(8, 2))
    assert list(prunnet.scored_layers(model)) == ["out_proj"]
