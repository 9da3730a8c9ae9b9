"""Files that are either complete or not there: written under a temporary name, then renamed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file, UTF-8, whole or not at all.

    Args:
        path: Where to; missing folders are made.
        text: The content.
    """
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_figure(
    figure: "Figure", path: str | os.PathLike[str], *, dots_per_inch: int = 150
) -> None:
    """Writes a figure, whole or not at all.

    Args:
        figure: A matplotlib figure.
        path: Where to; its suffix, ``.png`` say, is the format. Missing folders are made.
        dots_per_inch: Resolution.
    """
    with replacing(Path(path)) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch)


def check_no_folder(path: str | os.PathLike[str]) -> None:
    """Raises ValueError where a folder lies: before the work whose result is to be written."""
    if Path(path).is_dir():
        raise ValueError(f"`path` should be a file. Found the folder {os.fspath(path)}.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix in the same folder; it replaces ``path`` at the end.

    Folders that it had to make are gone again if that end isn't reached.

    Raises:
        ValueError: If ``path`` is a folder.
    """
    check_no_folder(path)
    path = path.parent.resolve() / path.name
    made = [folder for folder in path.parents if not folder.exists()]  # the deepest first
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}-", path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's files are for their owner alone
        temporary.replace(path)
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else wrote something there meanwhile
            for folder in made:
                folder.rmdir()
        raise
