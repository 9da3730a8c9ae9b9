"""``export_program``: a network as an exported program of torch, a ``.pt2`` file."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from prunnet_pml.evaluation.writing import check_no_folder, replacing
from prunnet_pml.export.checking import check_outputs
from prunnet_pml.export.exportable import exportable
from prunnet_pml.space_of_file import PROGRAM_METADATA


def export_program(
    model: nn.Module,
    path: str | os.PathLike[str],
    capacity: float | None = None,
    *,
    input_size: Sequence[int] | None = None,
    space_id: str | None = None,
    check: bool = True,
) -> Path:
    """Writes a network as a program of ``torch.export``, whole or not at all.

    It takes batches of any size, and needs no class of the network, only torch::

        extra = {"prunnet.json": ""}
        network = torch.export.load("network.pt2", extra_files=extra).module()
        embeddings = network(images)  # [batch, dimension]
        metadata = json.loads(extra["prunnet.json"])

    The metadata are those of :func:`export_onnx`.

    Args:
        model: A prunable network, which is pruned to ``capacity``, or a plain one, such as a
            pruned network that was calibrated.
        path: The file, ``.pt2``. Missing folders are made.
        capacity: In (0, 1]. Of a plain network it is only written down.
        input_size: (channels, height, width). Default: what timm says of the network.
        space_id: Of a plain network, to write down; a prunable one has its own.
        check: Whether to load the file, run it on a batch of another size, and compare.

    Returns:
        ``path``.

    Raises:
        ValueError: If an argument is out of its range or missing, ``path`` has another suffix, or
            what the network returns is no tensor [batch, dimension].
        RuntimeError: If the file computes something else than the network.
    """
    if Path(path).suffix != ".pt2":
        raise ValueError(f"`path` should end in '.pt2'. Found {os.fspath(path)!r}.")
    check_no_folder(path)
    made_of = exportable(model, capacity, input_size, space_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on what the exporter does inside of itself
        program = torch.export.export(
            made_of.network, (made_of.images,), dynamic_shapes=made_of.dynamic_shapes
        )
        with replacing(Path(path)) as temporary:
            torch.export.save(
                program, temporary, extra_files={PROGRAM_METADATA: json.dumps(made_of.metadata)}
            )
            if check:
                check_outputs(made_of, lambda images: _run(temporary, images))
    return Path(path)


def _run(path: Path, images: Tensor) -> Tensor:
    with torch.inference_mode():
        embeddings: Tensor = torch.export.load(path).module()(images)
    return embeddings
