"""What runs on an accelerator, in a process of its own: torch knows no second one of our making."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PRETENDED = pytest.param(
    "pretended",
    marks=pytest.mark.skipif(
        not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
        reason="this torch makes no devices out of Python",
    ),
)
ON_A_GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    ],
)


@pytest.mark.parametrize("device", [PRETENDED, ON_A_GPU])
def test_all_is_as_on_the_cpu(device: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "on_a_device.py"]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parent,
        env=os.environ | {"PRUNNET_PML_DEVICE": device},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
