"""Networks for devices that have neither prunnet_pml nor timm: ONNX files and torch's ``.pt2``.

``exportable`` says what is exported and what is written beside it, ``onnx_file`` and
``program_file`` write the two formats, and ``checking`` runs what was written.
"""

from prunnet_pml.export.onnx_file import export_onnx
from prunnet_pml.export.program_file import export_program

__all__ = ["export_onnx", "export_program"]
