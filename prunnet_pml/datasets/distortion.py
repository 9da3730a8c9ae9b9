"""A mild random distortion of whole batches of images, without a Python loop over images."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Distortion:
    """A random rotation, shift, scale, blur and noise, drawn anew for every image of a batch.

    Args:
        rotation: Largest rotation, in degrees either way.
        shift: Largest shift along each axis, as a fraction of the image side.
        scale: Largest change of size: factors are drawn from [1 / (1 + scale), 1 + scale].
        blur: Largest weight that each of the four neighbours of a pixel gets, in [0, 0.25].
        noise: Standard deviation of the Gaussian noise, where the pixels lie in [0, 1].

    Raises:
        ValueError: If an argument is negative, or ``blur`` is above 0.25.
    """

    rotation: float = 6.0
    shift: float = 0.04
    scale: float = 0.08
    blur: float = 0.06
    noise: float = 0.03

    def __post_init__(self) -> None:
        for name in ("rotation", "shift", "scale", "blur", "noise"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"`{name}` should be at least 0 and finite. Found {value}.")
        if self.blur > 0.25:
            raise ValueError(f"`blur` should be in [0, 0.25]. Found {self.blur}.")

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Distorts every image of a batch in its own way.

        Args:
            images: Pixels in [0, 1], ``[b, c, h, w]``.
            generator: Source of the random numbers, of the CPU or of the images' device; PyTorch's
                own one when None. One of the CPU draws the same for images on every device.

        Returns:
            The distorted images, in [0, 1], ``[b, c, h, w]``.

        Raises:
            ValueError: If ``images`` is not a floating-point tensor of 4 dimensions.
        """
        if images.dim() != 4 or not images.is_floating_point():
            found = f"{images.dtype} {tuple(images.shape)}"
            raise ValueError(f"`images` should be a float tensor [b, c, h, w]. Found {found}.")
        b, device = len(images), images.device
        source = device if generator is None else generator.device
        u = torch.rand(5, b, generator=generator, device=source).to(device) * 2 - 1  # in [-1, 1)
        angle = u[0] * torch.pi * self.rotation / 180
        zoom = (1 + self.scale) ** u[1]
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        # The grid spans [-1, 1], so that a shift by one side is 2.
        rows = (cos, -sin, 2 * self.shift * u[2], sin, cos, 2 * self.shift * u[3])
        theta = torch.stack(rows, dim=1).view(b, 2, 3).to(images.dtype)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, align_corners=False)
        if self.blur:
            weight = (self.blur * u[4].abs()).to(images.dtype).view(b, 1, 1, 1)
            p = F.pad(images, (1, 1, 1, 1), mode="replicate")
            around = p[..., :-2, 1:-1] + p[..., 2:, 1:-1] + p[..., 1:-1, :-2] + p[..., 1:-1, 2:]
            images = images + weight * (around - 4 * images)
        if self.noise:
            noise = torch.randn(
                images.shape, generator=generator, device=source, dtype=images.dtype
            )
            images = images + self.noise * noise.to(device)
        return images.clamp(0, 1)


MILD = Distortion()
"""The default of :class:`Glyphs`: enough that pixels alone find little, and a network much."""
