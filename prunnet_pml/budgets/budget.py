"""What a device allows a network to take."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from prunnet_pml.input_size import check_input_size

LIMITS = ("macs", "params", "bytes", "latency_ms")
"""The fields of a budget that are limits; the others say what they are measured with."""


@dataclass(frozen=True)
class Budget:
    """Limits on what a pruned network takes; those left out do not count.

    Attributes:
        macs: Multiply-accumulate operations for one image. Half of the floating-point operations
            that ``torch.utils.flop_counter`` counts: convolutions, linear layers, attention;
            no norms and activations. Of granularity "weight" they are the dense network's at every
            capacity.
        params: Parameters. Of granularity "weight": those that are not pruned.
        bytes: Bytes of the state dict's tensors, as they would lie in a safetensors file, without
            its header. Of granularity "weight": of the kept values, a bit for each scored weight
            that says whether it is kept, and everything else in full, which is what a capacity
            takes on the Hub at most. A plain network's own file (of ``prunnet prune``, ``export``
            or ``torch.save``) holds the pruned weights as zeros: it is as large as the dense one.
        latency_ms: Milliseconds of wall time for one forward of a batch, where the network stands:
            the median of several. Of granularity "channel" only.
        input_size: (channels, height, width) of an image, for ``macs`` and ``latency_ms``. Default:
            what timm says of the network.
        batch_size: How many images ``latency_ms`` is for.
        threads: How many threads ``latency_ms`` is for. Default: as many as torch uses now.

    Raises:
        ValueError: If nothing is limited, or a field is out of its range.
    """

    macs: float | None = None
    params: float | None = None
    bytes: float | None = None
    latency_ms: float | None = None
    input_size: tuple[int, int, int] | None = None
    batch_size: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        if not self.limits:
            raise ValueError(f"One of {', '.join(LIMITS)} should be given. Found none.")
        for name, limit in self.limits.items():
            if not (isinstance(limit, Real) and not isinstance(limit, bool) and limit > 0):
                raise ValueError(f"`{name}` should be a positive number. Found {limit!r}.")
        for name in ("batch_size", "threads"):
            value = getattr(self, name)
            left_out = name == "threads" and value is None
            if not left_out and not (type(value) is int and value > 0):
                raise ValueError(f"`{name}` should be a positive integer. Found {value!r}.")
        if self.input_size is not None:
            check_input_size(self.input_size)

    @property
    def limits(self) -> dict[str, float]:
        """What is limited, by its name."""
        return {name: limit for name in LIMITS if (limit := getattr(self, name)) is not None}
