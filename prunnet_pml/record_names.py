"""How capacities, and losses and matrix cells at them, are called.

PML's hooks write names into SQL as they are, so a name has letters, digits and underscores only:
capacities are in percent, ``20`` for 0.2 and ``12_5`` for 0.125.
"""

from __future__ import annotations

from prunnet_pml.masks import check_capacity


def percent(capacity: float) -> str:
    """A capacity as people read it: ``20%``, ``12.5%``."""
    return f"{100 * capacity:.5g}%"


def loss_name(loss: str, capacity: float) -> str:
    """A loss at a capacity: ``metric_loss_at_20``; the dense network's keeps its name.

    Raises:
        ValueError: If ``capacity`` is not in (0, 1].
    """
    capacity = check_capacity(capacity)
    return loss if capacity == 1 else f"{loss}_at_{_percent(capacity)}"


def cell_name(metric: str, query: float, gallery: float) -> str:
    """A cell of the compatibility matrix: ``recall_at_1_query_20_gallery_100``.

    Args:
        metric: One of :data:`prunnet_pml.evaluation.METRICS`.
        query: The capacity of the queries.
        gallery: The capacity of the gallery.

    Raises:
        ValueError: If a capacity is not in (0, 1].
    """
    query, gallery = check_capacity(query, "query"), check_capacity(gallery, "gallery")
    return f"{metric}_query_{_percent(query)}_gallery_{_percent(gallery)}"


def _percent(capacity: float) -> str:
    return f"{100 * capacity:.5f}".rstrip("0").rstrip(".").replace(".", "_")
