"""``prunnet demo``: one prunable network on real images, next to what one would do without it."""

from prunnet_pml.demo.run import run_demo

__all__ = ["run_demo"]
