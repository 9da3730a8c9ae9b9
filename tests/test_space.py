"""The space id: which embeddings compare, and that the answer travels with the weights."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path

import pytest
import torch
from networks import TinyEmbedder, build
from safetensors.torch import load_file, save_file
from torch import nn

import prunnet_pml as prunnet
from prunnet_pml.demo.report import save_checkpoint
from prunnet_pml.space import SPACE_ID, set_space_id, space_id
from prunnet_pml.space_of_file import read_space_id

ROOTS = {
    "network": TinyEmbedder,
    "single layer": lambda: nn.Linear(4, 2),
    "timm": lambda: build("test_resnet"),
}


@pytest.fixture(params=list(ROOTS))
def model(request: pytest.FixtureRequest) -> nn.Module:
    return prunnet.make_prunable(ROOTS[request.param]())


def saved(state: object) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


def test_every_training_run_has_a_space_of_its_own_even_with_the_same_seed() -> None:
    found = set()
    for _ in range(3):
        torch.manual_seed(0)
        found.add(space_id(prunnet.make_prunable(TinyEmbedder())))
    assert len(found) == 3


def test_a_network_made_prunable_in_an_existing_space_is_in_it() -> None:
    teacher = prunnet.make_prunable(TinyEmbedder())
    student = prunnet.make_prunable(TinyEmbedder(), space_id=space_id(teacher))
    assert space_id(student) == space_id(teacher)


def test_making_a_network_prunable_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    prunnet.make_prunable(nn.utils.skip_init(nn.Linear, 4, 2))
    assert torch.get_rng_state().equal(state)


def test_it_adds_no_key_to_the_state_dict(model: nn.Module) -> None:
    assert not any("space" in key for key in model.state_dict())
    assert not any(isinstance(value, str) for value in model.state_dict().values())


@pytest.mark.parametrize("weights_only", [True, False])
def test_a_checkpoint_brings_it_along(model: nn.Module, weights_only: bool) -> None:
    other = prunnet.make_prunable(copy.deepcopy(prunnet.prune(model, 1.0)))
    assert space_id(other) != space_id(model)
    other.load_state_dict(torch.load(saved(model.state_dict()), weights_only=weights_only))
    assert space_id(other) == space_id(model)


def test_a_checkpoint_of_a_bigger_module_brings_it_along() -> None:
    one, other = (
        nn.Sequential(prunnet.make_prunable(TinyEmbedder()), nn.BatchNorm1d(4)) for _ in range(2)
    )
    other.load_state_dict(torch.load(saved(one.state_dict())))
    assert space_id(other) == space_id(one)


def test_copies_and_pickles_keep_it(model: nn.Module) -> None:
    assert space_id(copy.deepcopy(model)) == space_id(model)
    assert space_id(pickle.loads(pickle.dumps(model))) == space_id(model)


@pytest.mark.parametrize("strict", [True, False])
def test_weights_without_an_id_are_another_space(strict: bool) -> None:
    """Plain, rebuilt by hand, or only some of them: they are not those that the id stamps."""
    model = prunnet.make_prunable(TinyEmbedder())
    seen = {space_id(model)}
    model.load_state_dict(dict(model.state_dict()), strict)
    seen.add(space_id(model))
    if not strict:
        with pytest.warns(UserWarning, match="Call reset_scores next"):
            model.load_state_dict(TinyEmbedder().state_dict(), strict)
        seen.add(space_id(model))
        partial = model.state_dict()
        del partial["head.weight"]
        model.load_state_dict(partial, strict)
        seen.add(space_id(model))
    assert len(seen) == (4 if not strict else 2)


def test_a_refused_checkpoint_leaves_it() -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    before = space_id(model)
    with pytest.raises(ValueError, match="should fit"):
        model.load_state_dict({"head.weight": torch.zeros(3, 3)})
    assert space_id(model) == before


def test_loading_another_part_of_a_bigger_module_leaves_it() -> None:
    bigger = nn.Sequential(prunnet.make_prunable(TinyEmbedder()), nn.BatchNorm1d(4))
    before = space_id(bigger)
    norm = {key: value for key, value in bigger.state_dict().items() if key.startswith("1.")}
    bigger.load_state_dict(norm, strict=False)
    assert space_id(bigger) == before


def test_a_safetensors_file_carries_it_and_loading_can_restore_it(tmp_path: Path) -> None:
    model, other = (prunnet.make_prunable(TinyEmbedder()) for _ in range(2))
    save_checkpoint(model, tmp_path / "it.safetensors")
    other.load_state_dict(load_file(tmp_path / "it.safetensors"))
    assert space_id(other) != space_id(model)
    set_space_id(other, read_space_id(tmp_path / "it.safetensors"))
    assert space_id(other) == space_id(model)


def test_a_pruned_network_is_plain(model: nn.Module) -> None:
    pruned = prunnet.prune(model, 0.5)
    with pytest.raises(ValueError, match=r"Found \w+ without a space id"):
        space_id(pruned)
    metadata = pruned.state_dict()._metadata
    assert not any(SPACE_ID in entry for entry in metadata.values())
    assert not any("space" in name for module in pruned.modules() for name in vars(module))


def test_two_networks_trained_together_need_one_id() -> None:
    trunk = prunnet.make_prunable(nn.Linear(4, 4))
    pair = nn.Sequential(trunk, prunnet.make_prunable(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match=r"should be of one space\. Found 2"):
        space_id(pair)
    pair = nn.Sequential(trunk, prunnet.make_prunable(nn.Linear(4, 4), space_id=space_id(trunk)))
    assert space_id(pair) == space_id(trunk)


@pytest.mark.parametrize("bad", ["", 3, b"id"])
def test_an_id_is_a_text(bad: object) -> None:
    plain = TinyEmbedder()
    with pytest.raises(ValueError, match="`space_id` should be a text that is not empty"):
        prunnet.make_prunable(plain, space_id=bad)
    assert not prunnet.is_prunable(plain)
    model = prunnet.make_prunable(plain)
    before = space_id(model)
    with pytest.raises(ValueError, match="`space_id` should be a text that is not empty"):
        set_space_id(model, bad)
    assert space_id(model) == before


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_id_of_a_file_on_disk(tmp_path: Path, wrapped: bool, zipped: bool) -> None:
    model = prunnet.make_prunable(TinyEmbedder())
    state = {"epoch": 3, "state_dict": model.state_dict()} if wrapped else model.state_dict()
    torch.save(state, tmp_path / "it.pt", _use_new_zipfile_serialization=zipped)
    assert read_space_id(tmp_path / "it.pt") == space_id(model)


def test_files_that_hold_no_single_id(tmp_path: Path) -> None:
    models = [prunnet.make_prunable(TinyEmbedder()) for _ in range(2)]
    torch.save(TinyEmbedder().state_dict(), tmp_path / "plain.pt")
    torch.save([model.state_dict() for model in models][:0], tmp_path / "list.pt")
    torch.save({str(i): m.state_dict() for i, m in enumerate(models)}, tmp_path / "two.pt")
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    for name, count in {"plain.pt": 0, "list.pt": 0, "two.pt": 2, "plain.safetensors": 0}.items():
        with pytest.raises(ValueError, match=rf"with one space id. Found {count} in .*{name}"):
            read_space_id(tmp_path / name)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`path` should be the path of a file\. Found None\."):
        read_space_id(None)
    for name in ("it.pt", "it.safetensors", "it.onnx", "it.pt2"):
        with pytest.raises(FileNotFoundError, match=r"should be a checkpoint\. Found no file"):
            read_space_id(tmp_path / name)
        for content in (b"", b"hello", b"\x80\x02."):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match="`path` should be a"):
                read_space_id(tmp_path / name)
    torch.save(TinyEmbedder(), tmp_path / "it.pt")  # a pickled object: code, not tensors
    with pytest.raises(ValueError) as caught:
        read_space_id(tmp_path / "it.pt")
    assert str(caught.value) == (
        "`path` should be a state dict that torch.save wrote, or a file of safetensors, .onnx or "
        f".pt2. Found {tmp_path / 'it.pt'}, which is none of them."
    )


def test_a_program_of_somebody_else_has_no_id(tmp_path: Path) -> None:
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "it.pt2")
    with pytest.raises(ValueError, match=r"with one space id. Found 0 in .*it\.pt2"):
        read_space_id(tmp_path / "it.pt2")


def test_a_training_that_leaves_a_space_draws_a_new_one(model: nn.Module) -> None:
    before = space_id(model)
    set_space_id(model)
    assert space_id(model) != before
