"""A page of queries with what they found: right answers framed green, wrong ones red."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT, _WRONG, _INK = "#2e9e5b", "#d64545", "#22272e"


def plot_matches(
    query_images: Tensor,
    query_labels: Tensor,
    gallery_images: Tensor,
    gallery_labels: Tensor,
    similarity: Tensor,
    *,
    top: int = 8,
    exclude: Tensor | Sequence[int] | None = None,
    title: str | None = None,
) -> "Figure":
    """Draws every query image, one a row, with its most similar gallery images.

    Args:
        query_images: uint8, or floats in [0, 1], ``[q, 1 or 3, h, w]``; 6 to 12 make a good page.
        query_labels: ``[q]``.
        gallery_images: As ``query_images``, ``[g, 1 or 3, h, w]``.
        gallery_labels: ``[g]``.
        similarity: Larger is more similar, ``[q, g]``: ``query_embeddings @ gallery_embeddings.T``.
        top: Matches drawn per query.
        exclude: A gallery position per query that is no match: itself, in a leave-one-out.
        title: Above the page.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: If sizes do not go together, or images do not have 1 or 3 channels.
    """
    q, g = len(query_images), len(gallery_images)
    _check(query_images, query_labels, "query")
    _check(gallery_images, gallery_labels, "gallery")
    if similarity.shape != (q, g):
        found = tuple(similarity.shape)
        raise ValueError(f"`similarity` should be of shape [{q}, {g}]. Found {found}.")
    candidates = g if exclude is None else g - 1
    if not 1 <= top <= candidates:
        raise ValueError(f"`top` should be in [1, {candidates}]. Found {top}.")
    if exclude is not None:
        own = torch.as_tensor(exclude)
        if own.shape != (q,):
            raise ValueError(f"`exclude` should be of shape [{q}]. Found {tuple(own.shape)}.")
        similarity = similarity.scatter(1, own.unsqueeze(1), float("-inf"))
    best = similarity.topk(top, dim=1).indices  # [q, top]
    is_right = query_labels.unsqueeze(1) == gallery_labels[best]  # [q, top]

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = gallery_images.shape[2:]
    across, down = 0.72 * (top + 1.4), 0.72 * q * height / width  # inches
    header = 0.3 if title is None else 0.6
    figure = Figure(figsize=(across, down + header + 0.05), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        q, top + 2, width_ratios=[1, 0.3, *[1] * top], wspace=0.12, hspace=0.12,
        left=0.02, right=0.98, bottom=0.05 / (down + header + 0.05),
        top=down / (down + header + 0.05),
    )  # fmt: skip
    for row in range(q):
        _draw(figure.add_subplot(grid[row, 0]), query_images[row], None)
        for rank in range(top):
            colour = _RIGHT if is_right[row, rank] else _WRONG
            axes = figure.add_subplot(grid[row, rank + 2])
            _draw(axes, gallery_images[best[row, rank]], colour)
            if row == 0:
                axes.set_title(str(rank + 1), fontsize=9, color=_INK)
    figure.axes[0].set_title("query", fontsize=9, color=_INK)
    if title is not None:
        figure.suptitle(title, fontsize=11, color=_INK)
    return figure


def _draw(axes: "Axes", image: Tensor, frame: str | None) -> None:
    if image.dtype == torch.uint8:
        image = image / 255
    pixels = image.detach().cpu().float().clamp(0, 1).expand(3, -1, -1)  # grey as three channels
    axes.imshow(pixels.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(frame is not None)
    if frame is not None:
        axes.spines[:].set(color=frame, linewidth=2)


def _check(images: Tensor, labels: Tensor, name: str) -> None:
    if images.dim() != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        found = tuple(images.shape)
        raise ValueError(f"`{name}_images` should be [n, 1 or 3, h, w]. Found shape {found}.")
    if labels.shape != (len(images),):
        found = tuple(labels.shape)
        raise ValueError(f"`{name}_labels` should be of shape [{len(images)}]. Found {found}.")
