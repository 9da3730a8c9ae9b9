"""A pickle of numbers and texts, read without running what else it may hold."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np


def _encoded(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes as {encoding}")
    return text.encode("latin1")


# What an array and a NumPy number pickle as. The names of NumPy's modules have changed over the
# years, so the functions are taken from what the installed NumPy itself would write.
_ARRAY, _NUMBER = np.empty(0).__reduce__()[0], np.float64().__reduce__()[0]
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("__builtin__", "bytes"): bytes,  # empty ones, as Python 3 writes them for Python 2
    ("_codecs", "encode"): _encoded,  # and other ones
    **{(module, "_reconstruct"): _ARRAY for module in _MODULES},
    **{(module, "scalar"): _NUMBER for module in _MODULES},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        # All that a pickle can call it finds here: nothing else is imported, let alone run.
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return _ALLOWED[module, name]


def read_plain_pickle(path: Path) -> Any:  # noqa: ANN401
    """Reads a pickle of dicts, lists, tuples, texts, numbers and NumPy arrays, and of nothing else.

    A pickle is a program, and reading one from a stranger runs it. This reader knows no function
    but the ones that build an array, and stops at any other.

    Args:
        path: The file; one that Python 2 wrote will do.

    Returns:
        Its content.

    Raises:
        ValueError: If it is not a pickle, or holds anything else; names what.
    """
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # whatever a broken pickle raises
        raise ValueError(
            f"{path} should be a pickle of dicts, lists, texts, numbers and arrays alone. Found: "
            f"{type(error).__name__}: {error}"
        ) from error
