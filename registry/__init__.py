"""The room for what lets timm and mmengine find the components of prunnet_pml by name.

It is empty so far: nothing is registered yet.
"""
