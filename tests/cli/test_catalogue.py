"""``prunnet list`` and ``prunnet publish``, as a shell calls them."""

from __future__ import annotations

import json

from hub_endpoint import Endpoint
from huggingface_hub import HfApi
from typer.testing import CliRunner

from prunnet_pml.cli import app
from prunnet_pml.hub import catalogue


def test_list_shows_every_entry_and_what_it_reaches() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    head, *lines = result.stdout.splitlines()
    assert head.split()[0] == "name"
    for line, entry in zip(lines, catalogue(), strict=True):
        assert line.startswith(f"{entry.name} ")
        assert f"{100 * entry.recall_at_1[0.2]:.1f} at 20%" in line
        assert f"{entry.sizes[0.2] / 1e6:.2f} MB to {entry.sizes[1.0] / 1e6:.2f} MB" in line
        assert line.endswith(entry.licence)
    found = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert found == [entry.to_json() for entry in catalogue()]


def test_publish_says_where_it_went(hub: Endpoint) -> None:
    name = catalogue()[0].name
    result = CliRunner().invoke(app, ["publish", name, "--repo", "team/mine", "--json"])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = json.loads(result.stdout)
    [newest, *_] = HfApi().list_repo_commits("team/mine")
    assert found["commit"] == newest.commit_id
    assert found["commit_url"].startswith(f"{hub.url}/team/mine")


def test_publish_of_a_name_that_is_none() -> None:
    result = CliRunner().invoke(app, ["publish", "resnet", "--repo", "team/mine"])
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert "`name` should be one of the catalogue" in line
