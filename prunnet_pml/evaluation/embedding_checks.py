"""Refusing what can't be scored: embeddings by capacity, of a query and of a gallery set."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def check_embeddings_by_capacity(
    embeddings: Mapping[float, Tensor], name: str, count: int, counted: str
) -> None:
    """Refuses one set's embeddings.

    Args:
        embeddings: What was given.
        name: What the message calls it.
        count: How many there should be at each capacity.
        counted: Where that number is from, for the message.

    Raises:
        ValueError: If they are not finite tensors ``[count, d]`` by capacity, one at least.
    """
    if not isinstance(embeddings, Mapping):
        found = type(embeddings).__name__
        raise ValueError(f"`{name}` should hold embeddings by capacity. Found a {found}.")
    if not embeddings:
        raise ValueError(f"`{name}` should hold embeddings of at least one capacity. Found none.")
    for value, tensor in embeddings.items():
        if not isinstance(tensor, Tensor):
            found = type(tensor).__name__
            raise ValueError(f"`{name}` should hold tensors [n, d]. Found a {found} at {value}.")
        if tensor.dim() != 2 or len(tensor) != count:
            raise ValueError(
                f"`{name}` should hold embeddings [{count}, d], {counted}. Found "
                f"{tuple(tensor.shape)} at capacity {value}."
            )
        if not tensor.isfinite().all():
            raise ValueError(
                f"`{name}` should hold finite embeddings. Found NaN or infinity at {value}."
            )


def check_one_size(query: Mapping[float, Tensor], gallery: Mapping[float, Tensor]) -> None:
    """Refuses embeddings of two sets that differ in their size.

    Raises:
        ValueError: If they do.
    """
    sizes = {tensor.shape[1] for tensor in (*query.values(), *gallery.values())}
    if len(sizes) > 1:
        raise ValueError(
            f"`query` and `gallery` should hold embeddings of one size. Found {sorted(sizes)}."
        )
