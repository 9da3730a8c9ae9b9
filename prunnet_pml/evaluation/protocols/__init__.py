"""How a benchmark scores a ranking: what is relevant, what doesn't count, which metrics.

A :class:`Protocol` holds the ground truth of a set of queries in a gallery and says what one
query's results are worth. The benchmarks in :mod:`prunnet_pml.datasets` make their own by
``query_set.protocol(gallery_set)``, and ``evaluate(..., protocol=...)`` or
``CompatibilityMatrix.from_protocol`` fill a matrix with its metrics:

>>> import torch
>>> from prunnet_pml.evaluation import CompatibilityMatrix
>>> cars, indexed = torch.tensor([0, 1]), torch.tensor([0, 0, 1, 1])
>>> seen_by, filmed_by = torch.tensor([0, 0]), torch.tensor([0, 1, 1, 2])
>>> truth = GroundTruth.from_labels(cars, indexed, seen_by, filmed_by)
>>> truth.relevant  # same car, another camera; the same camera is junk
(array([1]), array([2, 3]))
>>> protocol = RankingProtocol(truth, recall_at=(1,))
>>> query, gallery = torch.eye(2)[cars], torch.eye(2)[indexed]
>>> matrix = CompatibilityMatrix.from_protocol(protocol, {0.2: query}, {1.0: gallery})
>>> matrix.value("recall_at_1", query=0.2, gallery=1.0)
1.0

A protocol of one's own is a subclass with a :meth:`Protocol.measure`.
"""

from prunnet_pml.evaluation.protocols.average_precision import (
    average_precision,
    trapezoid_average_precision,
)
from prunnet_pml.evaluation.protocols.ground_truth import GroundTruth
from prunnet_pml.evaluation.protocols.landmark_protocol import LandmarkProtocol
from prunnet_pml.evaluation.protocols.protocol import Protocol
from prunnet_pml.evaluation.protocols.ranking_protocol import RankingProtocol
from prunnet_pml.evaluation.protocols.revisited_protocol import RevisitedProtocol

__all__ = [
    "GroundTruth",
    "LandmarkProtocol",
    "Protocol",
    "RankingProtocol",
    "RevisitedProtocol",
    "average_precision",
    "trapezoid_average_precision",
]
