"""``export_onnx``: a network as an ONNX file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunnet_pml.budgets.counting import count_bytes
from prunnet_pml.evaluation.writing import check_no_folder, replacing
from prunnet_pml.export.checking import check_outputs
from prunnet_pml.export.exportable import Exportable, exportable

OPSET = 18
"""The one that torch's exporter writes without converting it, in every release that we support."""

_LARGEST = 1_500_000_000
"""Bytes of weights. A protobuf file ends at 2 GiB, and torch splits from here on."""


def export_onnx(
    model: nn.Module,
    path: str | os.PathLike[str],
    capacity: float | None = None,
    *,
    input_size: Sequence[int] | None = None,
    space_id: str | None = None,
    opset: int = OPSET,
    check: bool = True,
) -> Path:
    """Writes a network as one ONNX file, whole or not at all.

    It has one input ``images``, [batch, channels, height, width] of any batch size, and one output
    ``embeddings``, [batch, dimension]. Its metadata say ``prunnet_space_id``,
    ``prunnet_capacity`` and ``input_size``, and of a timm network how images are prepared
    (``mean``, ``std``, ``interpolation``, ``crop_pct``). It needs the extra ``onnx``.

    Args:
        model: A prunable network, which is pruned to ``capacity``, or a plain one, such as a
            pruned network that was calibrated.
        path: The file, ``.onnx``. Missing folders are made.
        capacity: In (0, 1]. Of a plain network it is only written down.
        input_size: (channels, height, width). Default: what timm says of the network.
        space_id: Of a plain network, to write down; a prunable one has its own.
        opset: The version of ONNX's operators.
        check: Whether to run the file with ONNX Runtime, on a batch of another size, and compare.

    Returns:
        ``path``.

    Raises:
        ImportError: If ``onnx``, ``onnxscript`` or, to check, ``onnxruntime`` is not installed.
        ValueError: If an argument is out of its range or missing, the network is too large for one
            file or neither in float32 nor in float16, or what it returns is no tensor
            [batch, dimension].
        RuntimeError: If the file computes something else than the network.
    """
    _check_installed(check)
    if Path(path).suffix != ".onnx":
        raise ValueError(f"`path` should end in '.onnx'. Found {os.fspath(path)!r}.")
    check_no_folder(path)
    if type(opset) is not int or opset < OPSET:
        raise ValueError(f"`opset` should be an integer from {OPSET} on. Found {opset!r}.")
    made_of = exportable(model, capacity, input_size, space_id)
    if (kind := made_of.images.dtype) not in (torch.float32, torch.float16):
        raise ValueError(  # of others ONNX Runtime lacks kernels on a CPU
            "`model` should be in float32 or float16. "
            f"Found {str(kind).removeprefix('torch.')}: call model.float() first."
        )
    if (size := count_bytes(made_of.network)) > _LARGEST:
        raise ValueError(
            f"`model` should have at most {_LARGEST:,} bytes, so that one file holds it. Found "
            f"{size:,}: call export_program."
        )
    program = _converted(made_of, opset)
    if (found := program.model.opset_imports.get("")) != opset:
        raise ValueError(
            f"`opset` should be one that onnx converts to. Found {opset}; got {found}."
        )
    program.model.metadata_props.update(made_of.metadata)
    with replacing(Path(path)) as temporary:
        program.save(temporary, external_data=False)
        if check:
            check_outputs(made_of, lambda images: _run(temporary, images))
    return Path(path)


def _check_installed(check: bool) -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401

        if check:
            import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ImportError("export_onnx needs: pip install 'prunnet-pml[onnx]'") from error


def _converted(made_of: Exportable, opset: int) -> Any:  # noqa: ANN401
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on what the exporter does inside of itself
        return torch.onnx.export(
            made_of.network,
            (made_of.images,),
            dynamo=True,
            opset_version=opset,
            dynamic_shapes=made_of.dynamic_shapes,
            input_names=["images"],
            output_names=["embeddings"],
            verbose=False,
        )


def _run(path: Path, images: Tensor) -> Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (embeddings,) = session.run(["embeddings"], {"images": images.numpy()})
    return torch.from_numpy(embeddings)
