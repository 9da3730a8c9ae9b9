"""The endpoint of these tests against the stock client: where it is wrong, they prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_card_rules import faults
from hub_endpoint import READER, Endpoint
from huggingface_hub import CommitOperationDelete, HfApi, ModelCard, constants, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

NAME = "team/net"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "parts").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    (made / "parts" / "one.safetensors").write_bytes(bytes(range(256)) * 40)
    return made


def push(folder: Path, **arguments: object) -> str:
    HfApi().create_repo(NAME, exist_ok=True)
    return HfApi().upload_folder(repo_id=NAME, folder_path=folder, **arguments).oid


def test_what_was_pushed_is_listed_and_comes_back(hub: Endpoint, folder: Path) -> None:
    commit = push(folder)
    assert sorted(HfApi().list_repo_files(NAME)) == [
        ".gitattributes",
        "config.json",
        "parts/one.safetensors",
    ]
    [entry] = HfApi().get_paths_info(NAME, ["parts/one.safetensors"])
    assert entry.size == entry.lfs.size == 10240
    for name in ("config.json", "parts/one.safetensors"):
        found = Path(hf_hub_download(NAME, name))
        assert found.read_bytes() == (folder / name).read_bytes()
        assert commit in found.parts


def test_history_tags_and_branches(hub: Endpoint, folder: Path) -> None:
    first = push(folder)
    HfApi().create_tag(NAME, tag="v1")
    HfApi().create_branch(NAME, branch="next")
    (folder / "config.json").write_text('{"new": 1}')
    second = push(folder, revision="next")
    assert push(folder, revision="next") == second  # nothing new: no commit
    refs = HfApi().list_repo_refs(NAME)
    assert {r.name: r.target_commit for r in refs.branches} == {"main": first, "next": second}
    assert {r.name: r.target_commit for r in refs.tags} == {"v1": first}
    assert [c.commit_id for c in HfApi().list_repo_commits(NAME, revision="next")][:2] == [
        second,
        first,
    ]
    gone = HfApi().create_commit(NAME, [CommitOperationDelete("config.json")], commit_message="-")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(NAME, "config.json", revision=gone.oid)
    assert Path(hf_hub_download(NAME, "config.json", revision="v1")).read_text() == "{}"


def test_who_may_not_is_told_in_the_clients_own_classes(
    hub: Endpoint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(folder)
    for revision in ("v9", "0" * 40):
        with pytest.raises(RevisionNotFoundError):
            hf_hub_download(NAME, "config.json", revision=revision)
    with pytest.raises(RepositoryNotFoundError):
        HfApi().model_info("team/other")
    monkeypatch.setenv("HF_TOKEN", READER)
    assert HfApi().whoami()["name"] == "reader"
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi().create_repo("team/more")
    hub.repositories[NAME].gated = True
    with pytest.raises(GatedRepoError):
        hf_hub_download(NAME, "config.json")
    hub.repositories[NAME].private = True
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download(NAME, "config.json")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HfHubHTTPError) as caught:
        HfApi().whoami()
    assert caught.value.response.status_code == 401
    assert not isinstance(caught.value, RepositoryNotFoundError)


def test_a_cut_download_goes_on_where_it_ended(
    hub: Endpoint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(folder)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.cut("one.safetensors", after=4500)
    found = Path(hf_hub_download(NAME, "parts/one.safetensors"))
    assert found.read_bytes() == (folder / "parts" / "one.safetensors").read_bytes()
    assert [span for *_, span in hub.asked if span] == ["bytes=4000-"]


def test_cards_with_faults_are_refused(hub: Endpoint) -> None:
    ModelCard("---\nlicense: mit\ntags: [a]\n---\n# Net").validate()
    for head, reason in (("license: none-such", "license"), ("pipeline_tag: 3", "a string")):
        with pytest.raises(ValueError, match=reason):
            ModelCard(f"---\n{head}\n---\n# Net").validate()
    result = "{task: {type: t}, dataset: {type: d}, metrics: [{type: m}]}"
    found = faults(f"---\nmodel-index: [{{results: [{result}]}}]\n---\n")
    assert len(found) == 3  # a model's name, a data set's name, a metric's value
