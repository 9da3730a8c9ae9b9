"""An exported file is run before anybody gets it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from prunnet_pml.export.exportable import Exportable

_BATCH = 3
"""Another batch size than it was exported with."""
_TOLERANCES = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Of the largest number in the output: what other kernels may round differently."""
_TOLERANCE = 1e-4
"""The same of every other type."""


def check_outputs(exported: Exportable, run: Callable[[Tensor], Tensor]) -> None:
    """Compares what a file computes with what its network does, on a random batch.

    Args:
        exported: What the file was made of.
        run: Runs the file.

    Raises:
        RuntimeError: If they differ.
    """
    shape = exported.images.shape[1:]
    images = torch.randn(_BATCH, *shape, generator=torch.Generator().manual_seed(1))
    images = images.to(exported.images)
    with torch.inference_mode():
        expected = exported.network(images)
    found = run(images)
    difference = (
        f"shape {tuple(found.shape)} instead of {tuple(expected.shape)}"
        if found.shape != expected.shape
        else _difference(found, expected)
    )
    if difference:
        raise RuntimeError(
            "The exported network should compute what `model` does. Found "
            f"{difference}. Nothing was written."
        )


def _difference(found: Tensor, expected: Tensor) -> str | None:
    largest, off = expected.abs().max(), (found - expected).abs().max()
    tolerance = _TOLERANCES.get(expected.dtype, _TOLERANCE)
    return None if off <= tolerance * largest else f"{off:.3g} where numbers reach {largest:.3g}"
