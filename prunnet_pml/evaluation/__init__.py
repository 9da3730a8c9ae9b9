r"""How well any capacity finds what any other has indexed.

:func:`evaluate` embeds a query and a gallery set once per capacity and fills a
:class:`CompatibilityMatrix`: Recall@k, mAP and mAP@R for every pair of query and gallery capacity.
Embeddings out of other networks are scored in the same way by
:meth:`CompatibilityMatrix.from_embeddings`; here of two networks that were never made compatible:

>>> import torch
>>> labels = torch.arange(40) % 8
>>> mine, theirs = torch.eye(8)[labels], torch.eye(8).roll(1, dims=0)[labels]
>>> matrix = CompatibilityMatrix.from_embeddings({1.0: mine}, labels, {1.0: theirs})
>>> print(matrix.to_markdown())
| R@1, query \ gallery | 100% |
| ---: | ---: |
| 100% | 0.0 |
<BLANKLINE>

Benchmarks that score otherwise bring a protocol: :mod:`prunnet_pml.evaluation.protocols`.
"""

from prunnet_pml.evaluation import protocols
from prunnet_pml.evaluation.drawing import plot_capacity_curve, plot_matrix
from prunnet_pml.evaluation.embed import embed, embed_capacities
from prunnet_pml.evaluation.evaluate import evaluate
from prunnet_pml.evaluation.matches import plot_matches
from prunnet_pml.evaluation.matrix import METRICS, CompatibilityMatrix
from prunnet_pml.evaluation.writing import replacing, save_figure, write_text

__all__ = [
    "METRICS",
    "CompatibilityMatrix",
    "embed",
    "embed_capacities",
    "evaluate",
    "plot_capacity_curve",
    "plot_matches",
    "plot_matrix",
    "protocols",
    "replacing",
    "save_figure",
    "write_text",
]
