"""What stands on the Hub after a push, over HTTP with the stock client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hub_endpoint import READER, Endpoint
from huggingface_hub import HfApi, ModelCard, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from torch import nn

from prunnet_pml import evaluate
from prunnet_pml.hub import (
    describe,
    download,
    from_pretrained,
    push_to_hub,
    save_pretrained,
    write_card,
)

NAME = "team/net"


def test_a_pushed_network_comes_back_as_it_was(hub: Endpoint, network: nn.Module) -> None:
    commit = push_to_hub(network, NAME, commit_message="First")
    [newest, *_] = HfApi().list_repo_commits(NAME)
    assert (newest.commit_id, newest.title) == (commit.oid, "First")
    expected, found = network.state_dict(), from_pretrained(NAME).state_dict()
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0)


def test_a_push_is_one_commit_that_replaces_the_files_of_the_last(
    hub: Endpoint, network: nn.Module
) -> None:
    push_to_hub(network, NAME, capacities=(0.2, 0.6, 1.0))
    assert len(HfApi().list_repo_commits(NAME)) == 2  # the first came with the repository
    push_to_hub(network, NAME, capacities=(0.4, 1.0), dense=False)
    assert len(HfApi().list_repo_commits(NAME)) == 3
    names = set(HfApi().list_repo_files(NAME))
    assert "prunnet/band-040.safetensors" in names
    assert not names & {"prunnet/band-020.safetensors", "model.safetensors"}


def test_the_same_network_again_is_no_new_commit(hub: Endpoint, network: nn.Module) -> None:
    first = push_to_hub(network, NAME)
    hub.forget()
    assert push_to_hub(network, NAME).oid == first.oid
    assert not [path for method, path, _ in hub.asked if method == "PUT"]


def test_private_is_private(hub: Endpoint, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_to_hub(saved, NAME, private=True)
    assert HfApi().model_info(NAME).private
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(RepositoryNotFoundError, match="hf auth login"):
        from_pretrained(NAME)


def test_private_is_not_believed_of_a_public_repository(hub: Endpoint, saved: Path) -> None:
    push_to_hub(saved, NAME)
    hub.forget()
    with pytest.raises(ValueError, match="`private` should be False for a repository that is pub"):
        push_to_hub(saved, NAME, private=True)
    assert not [path for method, path, _ in hub.asked if "/commit/" in path]


def test_branches_and_tags_are_made(hub: Endpoint, saved: Path, network: nn.Module) -> None:
    first = push_to_hub(saved, NAME, tag="v1")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    second = push_to_hub(network, NAME, revision="next", tag="v2")
    refs = HfApi().list_repo_refs(NAME)
    assert {ref.name: ref.target_commit for ref in refs.tags} == {
        "v1": first.oid,
        "v2": second.oid,
    }
    assert {ref.name for ref in refs.branches} == {"main", "next"}
    weights = [
        next(from_pretrained(NAME, 1.0, revision=revision).parameters())
        for revision in ("main", "v1", "next", second.oid)
    ]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[2], weights[3])
    assert not torch.equal(weights[0], weights[2])
    hub.forget()
    with pytest.raises(ValueError, match="`tag` should be a new one"):
        push_to_hub(saved, NAME, tag="v1")
    assert not [path for method, path, _ in hub.asked if "/commit/" in path]


def test_what_is_nobody_elses_business_stays_here(
    hub: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    save_pretrained(network, folder)
    (folder / "notes.md").write_text("for others")
    for name in ("prunnet/source.json", ".cache/huggingface/token", ".env"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    push_to_hub(folder, NAME)
    names = set(HfApi().list_repo_files(NAME))
    assert "notes.md" in names
    assert not names & {"prunnet/source.json", ".cache/huggingface/token", ".env"}


def test_a_card_is_written_once_and_kept(hub: Endpoint, saved: Path, network: nn.Module) -> None:
    push_to_hub(saved, NAME)
    assert "from_pretrained" in ModelCard.load(NAME).text
    HfApi().upload_file(
        path_or_fileobj=b"---\nlicense: mit\n---\n# By hand", path_in_repo="README.md", repo_id=NAME
    )
    push_to_hub(network, NAME)
    assert "# By hand" in Path(hf_hub_download(NAME, "README.md")).read_text()


def test_a_card_of_the_folder_is_taken(hub: Endpoint, network: nn.Module, tmp_path: Path) -> None:
    push_to_hub(network, NAME)
    save_pretrained(network, tmp_path / "mine")
    write_card(tmp_path / "mine", name=NAME, license="apache-2.0", data="Glyphs")
    push_to_hub(tmp_path / "mine", NAME)
    assert ModelCard.load(NAME).data.license == "apache-2.0"


def test_the_metadata_of_a_card_is_checked_before_anything_is_sent(
    hub: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    save_pretrained(network, tmp_path / "mine")
    write_card(tmp_path / "mine", license="my own")
    with pytest.raises(ValueError, match="license"):
        push_to_hub(tmp_path / "mine", NAME)
    assert not hub.large


@pytest.mark.parametrize(
    ("token", "status", "line"),
    [("hf_reader", 403, "right to write"), ("hf_wrong", 401, "token is not valid")],
)
def test_who_may_not_push_is_told_what_to_do(
    hub: Endpoint, saved: Path, token: str, status: int, line: str
) -> None:
    with pytest.raises(HfHubHTTPError, match=line) as caught:
        push_to_hub(saved, NAME, token=token)
    assert caught.value.response.status_code == status


def test_a_push_that_breaks_leaves_the_repository_as_it_was(
    hub: Endpoint, saved: Path, network: nn.Module
) -> None:
    before = push_to_hub(network, NAME, precision="float16").oid
    hub.fail("POST .*/commit/", 500)
    with pytest.raises(HfHubHTTPError, match="What to do: the Hub is out of order"):
        push_to_hub(saved, NAME)
    assert HfApi().model_info(NAME).sha == before
    hub.forget()
    push_to_hub(saved, NAME)  # what had arrived isn't sent again
    assert not [path for method, path, _ in hub.asked if method == "PUT"]


def test_no_folder_of_a_network_is_no_source(hub: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18"}))
    with pytest.raises(ValueError, match=r"config\.json"):
        push_to_hub(tmp_path, NAME)
    assert not hub.repositories


def test_what_was_downloaded_for_one_capacity_does_not_replace_all_others(
    hub: Endpoint, saved: Path, tmp_path: Path
) -> None:
    push_to_hub(saved, NAME)
    before = set(HfApi().list_repo_files(NAME))
    folder = download(NAME, 0.2, folder=tmp_path / "device")
    hub.forget()
    with pytest.raises(ValueError, match=r"`source` should hold every file .* Found \d+ missing"):
        push_to_hub(folder, NAME)
    assert not hub.asked
    assert set(HfApi().list_repo_files(NAME)) == before


def test_numbers_of_another_network_do_not_stay(
    hub: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    save_pretrained(network, tmp_path / "net")
    images = torch.rand(8, 3, 32, 32), torch.arange(8) % 2
    write_card(tmp_path / "net", evaluate(network, images, capacities=(0.2, 1)))
    push_to_hub(tmp_path / "net", NAME)
    push_to_hub(network, NAME)  # the same network
    assert describe(NAME).headline.keys() == {0.2, 1.0}
    with torch.no_grad():
        next(network.parameters()).add_(1)
    with pytest.warns(UserWarning, match=r"matrix.json of 'team/net' was measured of the network"):
        push_to_hub(network, NAME)
    assert describe(NAME).evaluation is None


def test_arguments_of_saving_need_a_network(hub: Endpoint, saved: Path) -> None:
    with pytest.raises(ValueError, match=r"`source` should be a network, .*\['precision'\]"):
        push_to_hub(saved, NAME, precision="float16")
