"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from prunnet_pml.evaluation import save_figure, write_text
from prunnet_pml.evaluation.writing import replacing


def test_text_replaces_what_was_there_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_text(path, "old")
    write_text(path, "né")
    assert path.read_text(encoding="utf-8") == "né"
    assert list(path.parent.iterdir()) == [path]


def test_figure_is_of_the_format_that_its_suffix_says(tmp_path: Path) -> None:
    save_figure(Figure(), tmp_path / "a.svg")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    class Broken(Figure):
        def savefig(self, path: str, **_: object) -> None:
            Path(path).write_text("half of a fig")
            raise RuntimeError("disk full")

    path = tmp_path / "a.png"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk full"):
        save_figure(Broken(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_no_new_folder_but_what_others_wrote_there(tmp_path: Path) -> None:
    path = tmp_path / "old" / "new" / "newer" / "a.txt"
    (tmp_path / "old").mkdir()
    with pytest.raises(RuntimeError), replacing(path):
        raise RuntimeError
    assert not any((tmp_path / "old").iterdir())
    with pytest.raises(OSError, match="File name too long"):
        write_text(path.with_name(300 * "a"), "text")
    assert not any((tmp_path / "old").iterdir())
    with pytest.raises(RuntimeError), replacing(path.parent / ".." / ".." / "a.txt"):
        raise RuntimeError
    assert (tmp_path / "old").exists(), "it was there before"
    with pytest.raises(RuntimeError), replacing(path):
        (path.parents[1] / "theirs.txt").touch()
        raise RuntimeError
    assert [found.name for found in (tmp_path / "old").rglob("*")] == ["new", "theirs.txt"]


def test_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_a_folder_is_refused_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        write_text(tmp_path, "new")
    assert str(caught.value) == f"`path` should be a file. Found the folder {tmp_path}."
    assert not any(tmp_path.iterdir())
