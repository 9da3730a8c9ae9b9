"""What importing the package costs, and which way its imports go."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import prunnet_pml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest depends on it there

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]
ROOMS = PROJECT["tool"]["setuptools"]["package-dir"]  # package -> folder
HEAVY = "faiss timm mmengine huggingface_hub matplotlib rich typer torchvision sklearn"


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def test_importing_the_package_imports_no_optional_dependency() -> None:
    code = f"import sys, prunnet_pml; print(*sys.modules.keys() & set({HEAVY.split()}))"
    assert run_python(code).split() == []


def test_every_public_name_exists() -> None:
    assert all(hasattr(prunnet_pml, name) for name in prunnet_pml.__all__)
    assert len(set(prunnet_pml.__all__)) == len(prunnet_pml.__all__)


def test_public_names_are_sorted_as_ruff_sorts_them() -> None:
    def key(name: str) -> tuple[bool, bool, str]:  # CONSTANTS, then Classes, then functions
        return not name.isupper(), not name[0].isupper(), name

    assert prunnet_pml.__all__ == sorted(prunnet_pml.__all__, key=key)


def test_core_never_imports_what_is_built_on_it() -> None:
    outer = {"registry", "hub", "configs", "cli"}
    found = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources("prunnet_pml")
        if not file.is_relative_to(ROOT / "prunnet_pml" / "cli")
        for name in imported_names(file)
        if name.startswith((".", "prunnet_pml.")) and outer & set(name.split("."))
    ]
    assert found == []


def test_every_third_party_import_is_a_declared_dependency() -> None:
    declared = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        declared += extra
    declared_names = {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in declared}
    distributions = importlib.metadata.packages_distributions()
    imported = {
        name.split(".")[0]
        for room in ROOMS.values()
        for file in sources(room)
        for name in imported_names(file)
        if not name.startswith(".")
    }
    undeclared = {
        name
        for name in imported - {"prunnet_pml"} - sys.stdlib_module_names
        if not {normal(d) for d in distributions.get(name, [name])} & declared_names
    }
    assert undeclared == set()


def test_every_package_is_listed_in_pyproject() -> None:
    found = {
        ".".join([package, *init.relative_to(ROOT / room).parent.parts])
        for package, room in ROOMS.items()
        for init in (ROOT / room).rglob("__init__.py")
    }
    assert set(PACKAGES) == found


def sources(room: str) -> Iterator[Path]:
    return (ROOT / room).rglob("*.py")


def imported_names(file: Path) -> Iterator[str]:
    """Every dotted name that a file imports, anywhere in it; a relative one starts with a dot."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
