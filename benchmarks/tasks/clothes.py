"""Fashion-MNIST with its test classes held out, as the training loop takes it."""

from __future__ import annotations

from prunnet_pml.datasets import FashionMNIST
from prunnet_pml.datasets.distortion import MILD


class Clothes(FashionMNIST):
    """Five classes to train on, five others to search; distorted as Glyphs are when training."""

    distortion = MILD

    def __init__(self, split: str = "train") -> None:
        super().__init__(split=split)
        self.characters = self.classes
