"""What lets timm and mmengine find the components of prunnet_pml by name.

Importing it tells timm the names ``prunnet_*``, and mmengine, where it is installed, the scope
``prunnet_pml``. mmengine imports it by itself for every ``type="prunnet_pml.Name"``: see
:mod:`prunnet_pml.registry.mmengine`.
"""

from importlib.util import find_spec

import prunnet_pml.registry.timm

if find_spec("mmengine"):
    import prunnet_pml.registry.mmengine  # noqa: F401
