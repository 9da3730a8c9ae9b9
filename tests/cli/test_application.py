"""What is common to all commands: help, exit codes, and errors of one line."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from typer.testing import CliRunner

from prunnet_pml import cli
from prunnet_pml.cli import app
from prunnet_pml.cli.application import COMMANDS
from prunnet_pml.cli.printing import one_line_errors
from prunnet_pml.hub.advice import HUB_ERRORS

OFFLINE = HUB_ERRORS[0]  # of the HTTP client, which is no OSError


def test_no_exported_name_hides_a_module() -> None:
    """As ``app`` would one of that name, so that importing the module gives the application."""
    assert not {module.name for module in pkgutil.iter_modules(cli.__path__)} & {*cli.__all__}


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert name in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_of_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: prunnet {name}" in result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("`capacity` should be\n in (0, 1]. Found 2."), 2),
        (FileNotFoundError("no such file"), 2),
        (ImportError("pip install it"), 2),
        (OSError("disk full"), 1),
        (LocalEntryNotFoundError("offline"), 1),
        (OFFLINE("no route"), 1),
        (HFValidationError("no name of a repository"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_from_outside_are_one_line_and_an_exit_code(error: Exception, code: int) -> None:
    failing = typer.Typer()

    @failing.command()
    @one_line_errors
    def command() -> None:
        raise error

    result = CliRunner().invoke(failing)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr == f"Error: {' '.join(str(error).split())}\n"


def test_a_missing_mmengine_is_named_with_what_installs_it() -> None:
    code = (
        "import sys; sys.modules['mmengine'] = None\n"
        "from prunnet_pml.cli import app; app(['configs'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == 'Error: This needs mmengine: pip install "prunnet-pml[mmengine]"\n'


def test_our_own_mistakes_keep_their_traceback() -> None:
    @one_line_errors
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_the_package_runs_as_a_module_and_imports_nothing_heavy_for_its_help() -> None:
    code = (
        "import runpy, sys; sys.argv = ['prunnet', '--help']\n"
        "try: runpy.run_module('prunnet_pml.cli', run_name='__main__')\n"
        "except SystemExit: print(*sys.modules.keys() & {'mmengine', 'timm', 'faiss'}, 'only')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: prunnet " in done.stdout
    assert done.stdout.split()[-1] == "only"
    assert done.stdout.splitlines()[-1].strip() == "only"


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "nothing", "--data", "glyphs"],
        ["export", "nothing", "--capacity", "0.2"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_where_a_file_is_wanted_is_refused_first(
    arguments: list[str], tmp_path: Path
) -> None:
    """Not after the evaluation, and not by the name of a temporary file."""
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "'--out'" in result.stderr
    assert "is a directory" in " ".join(result.stderr.replace("│", " ").split())
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo"],
        ["prune", "nothing", "--capacity", "0.2"],
        ["pull", "nothing", "--capacity", "0.2"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_file_where_a_folder_is_wanted_is_refused_first(
    arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert "is a file" in " ".join(result.stderr.replace("│", " ").split())
    assert (tmp_path / "file").read_text() == "mine"
