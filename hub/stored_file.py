"""One file of a checkpoint: checked against the manifest, then read tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from prunnet_pml.hub.errors import AGAIN, CheckpointError
from prunnet_pml.hub.layout import ROLE
from prunnet_pml.hub.manifest import Manifest
from prunnet_pml.hub.records import FileRecord, sha256
from prunnet_pml.space import SPACE_ID

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""What safetensors calls the dtypes of a manifest."""


class StoredFile:
    """An open file whose tensors are read when asked for, each of the shape that it should be.

    Attributes:
        path: Where it is; for error messages.
    """

    def __init__(self, opened: Any, path: Path) -> None:  # noqa: ANN401
        self._opened = opened
        self._names = set(opened.keys())
        self.path = path

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def check(self, name: str, dtype: torch.dtype, shape: tuple[int | None, ...]) -> None:
        """Refuses, without reading it, a tensor of another dtype or shape; None is any length."""
        if name not in self._names:
            raise self.error(f"should hold `{name}`. Found none of that name.")
        header = self._opened.get_slice(name)
        found, lengths = _DTYPES.get(header.get_dtype()), tuple(header.get_shape())
        fits = len(lengths) == len(shape) and all(
            wanted in (None, length) for wanted, length in zip(shape, lengths, strict=True)
        )
        if found is not dtype or not fits:
            raise self.error(
                f"should hold `{name}` as {dtype} of shape {shape}. "
                f"Found {header.get_dtype()} of shape {lengths}."
            )

    def read(self, name: str, dtype: torch.dtype, shape: tuple[int | None, ...]) -> Tensor:
        """A tensor of finite numbers.

        Raises:
            CheckpointError: If there is none of that name, dtype and shape.
        """
        self.check(name, dtype, shape)
        value: Tensor = self._opened.get_tensor(name)
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise self.error(f"should hold finite numbers. Found others in `{name}`.")
        return value

    def error(self, problem: str) -> CheckpointError:
        """What is wrong with the file, and what to do."""
        return CheckpointError(f"{self.path} {problem} {AGAIN}")


@contextmanager
def opened(folder: Path, name: str, manifest: Manifest) -> Iterator[StoredFile]:
    """Opens a file that is, to the byte, the one that the manifest lists.

    Raises:
        FileNotFoundError: If it is not there.
        CheckpointError: If it is another one.
    """
    path = folder / name
    _check(path, manifest.files[name])
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            for key, wanted in ((ROLE, name), (SPACE_ID, manifest.space_id)):
                if metadata.get(key) != wanted:
                    raise CheckpointError(
                        f"{path} should be {key} {wanted!r}. Found {metadata.get(key)!r}: files "
                        f"were exchanged. {AGAIN}"
                    )
            yield StoredFile(file, path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} should be safetensors. Found: {error}. {AGAIN}") from error


def _check(path: Path, record: FileRecord) -> None:
    if not path.is_file():  # nor a device, or a link that leads nowhere
        raise FileNotFoundError(
            f"{path} is needed for this capacity. Found no such file: into a folder that was "
            "downloaded, `prunnet upgrade FOLDER --capacity NUMBER` brings it."
        )
    if (size := path.stat().st_size) != record.size:
        raise CheckpointError(f"{path} should have {record.size} bytes. Found {size}. {AGAIN}")
    if (found := sha256(path)) != record.sha256:
        raise CheckpointError(f"{path} should have SHA-256 {record.sha256}. Found {found}. {AGAIN}")
