"""What is done to images before the network sees them."""

from timm.data.transforms_factory import create_transform

from prunnet_pml.datasets import Distortion
from prunnet_pml.registry.mmengine.registries import TRANSFORMS

TRANSFORMS.register_module(module=Distortion)
TRANSFORMS.register_module(name="timm", module=create_transform)
