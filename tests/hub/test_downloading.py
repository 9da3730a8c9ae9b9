"""Downloads over HTTP: only what a capacity needs, once, whatever happens to the connection."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hub_endpoint import READER, Endpoint
from hub_repository import Repository
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from torch import nn

from prunnet_pml import prune
from prunnet_pml.hub import (
    CheckpointError,
    Manifest,
    download,
    from_pretrained,
    push_to_hub,
    save_pretrained,
    upgrade,
)

NAME = "team/net"


@pytest.fixture
def pushed(hub: Endpoint, saved: Path) -> Endpoint:
    push_to_hub(saved, NAME, tag="v1")
    hub.forget()
    return hub


def bands(hub: Endpoint) -> set[str]:
    return {name for name in hub.downloads() if name.startswith(("prunnet/", "model."))}


def same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_capacity_downloads_what_it_needs_and_no_more(
    pushed: Endpoint, saved: Path, network: nn.Module
) -> None:
    device = from_pretrained(NAME, 0.2)
    assert same(device, prune(network, 0.2))
    manifest = Manifest.read(saved)
    assert bands(pushed) == set(manifest.files_for(0.2)) - {"config.json"}
    sent = sum(pushed.sent[name] for name in bands(pushed))
    assert sent <= manifest.bytes_for(0.2) < 0.3 * (saved / "model.safetensors").stat().st_size


def test_a_larger_capacity_downloads_the_difference(
    pushed: Endpoint, saved: Path, network: nn.Module
) -> None:
    from_pretrained(NAME, 0.2)
    first = bands(pushed)
    pushed.forget()
    assert same(from_pretrained(NAME, 0.4), prune(network, 0.4))
    assert bands(pushed) == set(Manifest.read(saved).files_for(0.4)) - first - {"config.json"}


def test_a_folder_is_upgraded_from_the_commit_it_came_from(
    pushed: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    folder = download(NAME, 0.2, folder=tmp_path / "device")
    assert folder == tmp_path / "device"
    expected = prune(network, 0.4)
    with torch.no_grad():
        next(network.parameters()).add_(1)
    push_to_hub(network, NAME)  # the repository moves on
    pushed.forget()
    missing = Manifest.read(folder).missing(folder, 0.4)
    assert upgrade(folder, 0.4) == folder
    assert bands(pushed) == set(missing)
    assert same(from_pretrained(folder, 0.4), expected)
    pushed.forget()
    upgrade(folder, 0.4)
    assert not pushed.asked  # there is nothing to ask for


def test_a_damaged_file_of_a_folder_is_replaced(
    pushed: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    folder = download(NAME, 0.4, folder=tmp_path / "device")
    band = folder / "prunnet" / "band-040.safetensors"
    content = band.read_bytes()
    band.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    pushed.forget()
    manifest = Manifest.read(folder)
    assert manifest.missing(folder, 0.2) == []
    assert manifest.missing(folder, 0.4) == ["prunnet/band-040.safetensors"]
    assert same(from_pretrained(upgrade(folder, 0.4), 0.4), prune(network, 0.4))
    assert bands(pushed) == {"prunnet/band-040.safetensors"}


def test_a_folder_can_be_moved_to_another_revision(
    pushed: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    folder = download(NAME, 0.2, folder=tmp_path / "device")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    push_to_hub(network, NAME)
    download(NAME, 0.2, folder=folder)
    assert same(from_pretrained(folder, 0.2), prune(network, 0.2))


def test_a_folder_of_unknown_origin_is_not_upgraded(pushed: Endpoint, tmp_path: Path) -> None:
    folder = download(NAME, 0.2, folder=tmp_path / "device")
    (folder / "prunnet" / "source.json").write_text("[]")
    with pytest.raises(ValueError, match=r"source\.json: download it again"):
        upgrade(folder, 0.4)


def test_revisions_are_tags_branches_and_commits(pushed: Endpoint, network: nn.Module) -> None:
    before = prune(network, 0.2)
    with torch.no_grad():
        next(network.parameters()).add_(1)
    commit = push_to_hub(network, NAME)
    assert same(from_pretrained(NAME, 0.2, revision="v1"), before)
    for revision in (None, "main", commit.oid):
        assert same(from_pretrained(NAME, 0.2, revision=revision), prune(network, 0.2))


def test_offline_takes_what_is_in_the_cache(
    pushed: Endpoint, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_pretrained(NAME, 0.2)
    pushed.forget()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same(from_pretrained(NAME, 0.2), prune(network, 0.2))
    with pytest.raises(LocalEntryNotFoundError, match="HF_HUB_OFFLINE is set and 'team/net'"):
        from_pretrained(NAME, 0.4)
    with pytest.raises(LocalEntryNotFoundError, match="download it once with the variable unset"):
        from_pretrained("team/other", 0.2)
    with pytest.raises(OfflineModeIsEnabled, match="so nothing is sent: unset it") as caught:
        push_to_hub(network, NAME)
    assert "cache" not in str(caught.value)
    assert not pushed.asked


def test_a_hub_out_of_reach_is_as_good_as_offline(pushed: Endpoint, network: nn.Module) -> None:
    from_pretrained(NAME, 0.2)
    pushed.fail(".", 500, times=1000)
    assert same(from_pretrained(NAME, 0.2), prune(network, 0.2))


def test_a_cut_connection_goes_on_where_it_ended(
    pushed: Endpoint, saved: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    pushed.cut("band-020", after=50_000)
    assert same(from_pretrained(NAME, 0.2), prune(network, 0.2))
    assert "bytes=49152-" in [span for *_, span in pushed.asked]
    band = "prunnet/band-020.safetensors"
    assert pushed.sent[band] - (saved / band).stat().st_size < 4096


def test_a_download_given_up_leaves_whole_files_alone_and_can_be_repeated(
    pushed: Endpoint, network: nn.Module, tmp_path: Path
) -> None:
    folder = download(NAME, 0.2, folder=tmp_path / "device")
    pushed.fail("GET /cdn/.*band-040", 403)
    with pytest.raises(HfHubHTTPError, match="What to do"):
        upgrade(folder, 0.4)
    assert same(from_pretrained(folder, 0.2), prune(network, 0.2))
    pushed.forget()
    upgrade(folder, 0.4)
    assert same(from_pretrained(folder, 0.4), prune(network, 0.4))
    assert "prunnet/band-020.safetensors" not in bands(pushed)


def test_what_is_not_there_keeps_the_clients_class_and_says_what_to_do(pushed: Endpoint) -> None:
    with pytest.raises(RevisionNotFoundError, match=r"choose a branch.*Found no 'v9'") as no:
        from_pretrained(NAME, 0.2, revision="v9")
    assert no.value.response.status_code == 404
    with pytest.raises(RepositoryNotFoundError, match="check the name 'team/none'"):
        from_pretrained("team/none")
    pushed.repositories["team/empty"] = Repository("team/empty")
    with pytest.raises(RemoteEntryNotFoundError, match="none that prunnet_pml pushed"):
        from_pretrained("team/empty")


def test_who_may_not_read_is_told_what_to_do(
    pushed: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HfHubHTTPError, match="the token is not valid") as caught:
        download(NAME, 0.2, token="hf_wrong")
    assert caught.value.response.status_code == 401
    monkeypatch.setenv("HF_TOKEN", READER)
    pushed.repositories[NAME].gated = True
    with pytest.raises(GatedRepoError, match="ask for access at http"):
        download(NAME, 0.2)


def test_a_folder_of_something_else_is_left_alone(
    pushed: Endpoint, saved: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    for source in (NAME, saved):
        with pytest.raises(ValueError, match="`folder` should be new, empty, or a checkpoint"):
            download(source, 0.2, folder=tmp_path)
    assert [file.name for file in tmp_path.glob("*.json")] == ["config.json"]
    assert (tmp_path / "config.json").read_text() == '{"architecture": "resnet18"}'


def test_a_checkpoint_that_was_saved_there_is_left_alone(
    pushed: Endpoint, saved: Path, network: nn.Module, tmp_path: Path
) -> None:
    with torch.no_grad():
        next(network.parameters()).add_(1)
    folder = tmp_path / "mine"
    save_pretrained(network, folder)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    for source in (NAME, saved):
        with pytest.raises(ValueError, match=r"`folder` should be new, .* Found another checkpoin"):
            download(source, 0.2, folder=folder)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    save_pretrained(from_pretrained(saved), tmp_path / "same")
    assert download(saved, 0.2, folder=tmp_path / "same") == tmp_path / "same"
    assert not (tmp_path / "same" / "prunnet" / "source.json").exists()  # it is no download


def test_nothing_of_an_earlier_download_stays_beside_another_network(
    pushed: Endpoint, saved: Path, network: nn.Module, tmp_path: Path
) -> None:
    """The dense network of the first would be what timm loads of the second."""
    folder = download(saved, folder=tmp_path / "device")
    (folder / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes())
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "matrix.json").write_text("{}")
    (folder / "prunnet" / "mine").mkdir()
    with torch.no_grad():
        next(network.parameters()).add_(1)
    push_to_hub(network, NAME)
    assert download(NAME, 0.2, folder=folder) == folder
    found = {str(file.relative_to(folder)) for file in folder.rglob("*.safetensors")}
    assert found == {"prunnet/band-020.safetensors"}
    assert not (folder / "evaluation" / "matrix.json").exists()
    assert (folder / "prunnet" / "mine").is_dir()
    assert same(from_pretrained(upgrade(folder, 0.4), 0.4), prune(network, 0.4))


def test_an_earlier_download_stays_until_the_next_has_arrived(
    pushed: Endpoint, network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = download(NAME, 0.2, folder=tmp_path / "device")
    before = prune(network, 0.2)
    with torch.no_grad():
        next(network.parameters()).add_(1)
    push_to_hub(network, NAME)
    download(NAME, 0.2)  # its config.json is in the cache now, and its first band
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises((LocalEntryNotFoundError, OfflineModeIsEnabled)):
        download(NAME, 0.4, folder=folder)
    assert same(from_pretrained(folder, 0.2), before)
    assert [file.name for file in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("capacity", [7, 0.3])
def test_a_capacity_that_cannot_be_had_leaves_nothing(
    network: nn.Module, capacity: float, tmp_path: Path
) -> None:
    save_pretrained(network, tmp_path / "source", scores=None)
    with pytest.raises(ValueError, match="`capacity` should be"):
        download(tmp_path / "source", capacity, folder=tmp_path / "device")
    assert not (tmp_path / "device").exists()


def test_a_folder_is_its_own_download(saved: Path) -> None:
    assert download(saved, 0.2) == saved


def test_a_folder_called_like_its_source_is_upgraded(
    pushed: Endpoint, network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (NAME, "prunnet_resnet18.glyphs"):
        for value in (0.2, 0.4):
            folder = download(name, value, folder=name)
            assert Manifest.read(folder).missing(folder, value) == []
    assert same(from_pretrained(NAME, 0.4), prune(network, 0.4))
    with pytest.raises(ValueError, match=r"for a folder. Found 'v1', and the folder team/net"):
        download(NAME, 0.2, revision="v1", folder=NAME)
    (tmp_path / NAME / "prunnet" / "source.json").unlink()
    with pytest.raises(ValueError, match=r"source\.json: download it again"):
        download(NAME, 1.0, folder=NAME)


def test_what_is_copied_is_what_the_manifest_lists(network: nn.Module, tmp_path: Path) -> None:
    """Not what lies in the source since then, nor what was damaged there."""
    source, folder = tmp_path / "source", tmp_path / "device"
    save_pretrained(network, source)
    download(source, 0.2, folder=folder)
    expected = prune(network, 0.2)
    with torch.no_grad():
        next(network.parameters()).add_(1)
        network.conv1[0].scores.mul_(2)
    save_pretrained(network, source)
    with pytest.raises(CheckpointError, match=r"device is a part of. Found another prunnet/band-0"):
        upgrade(folder, 0.4)
    assert not (folder / "prunnet" / "band-040.safetensors").exists()
    assert same(from_pretrained(folder, 0.2), expected)
    download(source, 0.2, folder=folder)  # as the error says
    band = source / "prunnet" / "band-040.safetensors"
    band.write_bytes(band.read_bytes()[::-1])
    for copy in (folder, tmp_path / "new"):
        with pytest.raises(CheckpointError, match=r"Found another prunnet/band-040.*a damaged one"):
            download(source, 0.4, folder=copy)
    assert same(from_pretrained(folder, 0.2), prune(network, 0.2))
