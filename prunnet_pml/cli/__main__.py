"""``python -m prunnet_pml.cli``: what ``torchrun -m`` needs."""

from prunnet_pml.cli import app

app(prog_name="prunnet")
