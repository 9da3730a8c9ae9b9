"""Granularity "channel": hidden units instead of weights are scored, and pruned ones are cut out.

``search`` finds the units from a dependency graph of the layers (``traced``), whole attention heads
(``heads``) and whole groups of convolutions (``grouped``) among them, and believes it after a
``trial``. ``layers`` masks them; ``removal`` cuts them out of a plain network, and ``kept`` says
which are left in a form that a JSON file holds.
"""

from prunnet_pml.units.kept import apply_kept_units, kept_units
from prunnet_pml.units.scoring import hidden_units

__all__ = ["apply_kept_units", "hidden_units", "kept_units"]
