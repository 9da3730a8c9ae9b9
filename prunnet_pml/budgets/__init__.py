"""Budgets instead of capacities: the largest subnetwork that a device has room and time for.

``budget`` says what may be limited, ``counting`` what a network takes, ``costs`` what a subnetwork
of any capacity takes without building it, ``latency`` how long one runs, and ``search`` finds the
capacity.
"""

from prunnet_pml.budgets.budget import Budget
from prunnet_pml.budgets.counting import count_macs
from prunnet_pml.budgets.latency import measure_latency
from prunnet_pml.budgets.search import capacity_for, largest_capacity

__all__ = ["Budget", "capacity_for", "count_macs", "largest_capacity", "measure_latency"]
