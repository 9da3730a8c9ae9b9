"""The code in README.md, CONTRIBUTING.md and the docstrings runs as it is written."""

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from typer.testing import CliRunner

from prunnet_pml import cli

ROOT = Path(__file__).parent.parent
ROOMS = ("prunnet_pml", "registry", "hub", "configs")  # all installed inside of the first
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> Iterator[str]:
    """The page's code blocks, each after as many empty lines as stand above it in the page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match[1] == language:
            yield "\n" * (text[: match.start(2)].count("\n")) + match[2]


def run_blocks(page: str, namespace: dict[str, object]) -> dict[str, object]:
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), namespace)
    return namespace


def test_readme_python_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the first line to the last, as a reader would; only pretrained weights stay away."""
    create_model = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *a, pretrained, **kw: create_model(*a, pretrained=False, **kw)
    )
    monkeypatch.chdir(tmp_path)
    images, labels = torch.rand(12, 3, 32, 32), torch.arange(4).repeat(3)
    found = run_blocks(
        "README.md",
        {
            "num_classes": 4,
            "loader": list(zip(images.split(6), labels.split(6), strict=True)),
            "query_set": (images[:4], labels[:4]),
            "gallery_set": (images[4:], labels[4:]),
        },
    )
    assert type(found["student"]) is timm.models.resnet.ResNet
    plain = create_model("resnet18", num_classes=128)
    plain.load_state_dict(torch.load(tmp_path / "tiny.pt"))  # "plain timm keys"


def test_contributing_integrator_trains() -> None:
    found = run_blocks("CONTRIBUTING.md", {})
    gradients = [list(torch.randn(5, 8, 4, 3, 3)), list(torch.randn(5, 8))]
    results = found["DenseOnly"]()(gradients, torch.Generator())
    for result, tensor in zip(results, gradients, strict=True):
        torch.testing.assert_close(result, tensor[0])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_commands_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = "".join(blocks(page, "bash")).splitlines()
    for line in lines:
        match line.partition("#")[0].split():
            case []:
                pass
            case ["make", target]:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE)
            case ["prunnet", command, *_]:
                result = CliRunner().invoke(cli.app, [command, "--help"])
                assert result.exit_code == 0
            case ["pip", "install", "."]:
                pass
            case _:
                pytest.fail(f"Nothing here knows how to check `{line}`.")


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


def modules_with_examples() -> Iterator[str]:
    for file in sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        if ">>>" in file.read_text(encoding="utf-8"):
            names = file.relative_to(ROOT).with_suffix("").parts
            inside = names if names[0] == ROOMS[0] else (ROOMS[0], *names)
            yield ".".join(inside).removesuffix(".__init__")


@pytest.mark.parametrize("module", list(modules_with_examples()))
def test_docstring_examples_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
