"""What runs a network on one thread: given it and a batch, a function that runs it."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from prunnet_pml.export import export_onnx

Run = Callable[[], object]


def eager(network: nn.Module, images: Tensor) -> Run:
    """Torch as it is."""

    def run() -> object:
        with torch.inference_mode():
            return network(images)

    return run


def tuned(network: nn.Module, images: Tensor) -> Run:
    """Torch with channels as the innermost axis, where its pooling is many times as fast.

    In a process that keeps the memory it was given, see ``latency.py``.
    """
    network = copy.deepcopy(network).to(memory_format=torch.channels_last)
    return eager(network, images.to(memory_format=torch.channels_last))


def compiled(network: nn.Module, images: Tensor) -> Run:
    """torch.compile for batches of this size."""
    torch._dynamo.reset()
    faster = torch.compile(network, dynamic=False)

    def run() -> object:
        with torch.no_grad():
            return faster(images)

    run()
    return run


def onnx(network: nn.Module, images: Tensor) -> Run:
    """ONNX Runtime on what ``export_onnx`` writes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        export_onnx(network, file, input_size=images.shape[1:], check=False)
        session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    given = {"images": images.numpy()}
    return lambda: session.run(None, given)


RUNTIMES = {"eager": eager, "tuned": tuned, "onnx": onnx}
if any(map(shutil.which, ("c++", "g++", "clang++"))):
    RUNTIMES["compile"] = compiled
