"""Reading a checkpoint that somebody else may have written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch


def read_checkpoint(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """The weights in a checkpoint of mmengine, or a saved ``state_dict``, without running pickles.

    Raises:
        ValueError: If it is neither, or holds more than tensors, numbers and text.
        FileNotFoundError: If there is none.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # there is nothing that garbage can't make the unpickler raise
        raise ValueError(
            f"`checkpoint` should hold tensors, numbers and text alone, as PlainCheckpointHook "
            f"saves it, since a pickle can run code where it is opened. Found {str(path)!r}, which "
            "torch does not load with weights_only=True."
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not state or not all(isinstance(key, str) for key in state):
        raise ValueError(f"`checkpoint` should hold weights by name. Found none in {str(path)!r}.")
    found: Mapping[str, Any] = state
    return found
