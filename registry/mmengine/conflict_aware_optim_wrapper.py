"""The optimizer wrappers that train all capacities at once, under mmengine's Runner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner.amp import autocast
from torch import Tensor, nn

from prunnet_pml.draws import drawn_for
from prunnet_pml.network import trained_capacities
from prunnet_pml.optimizer import ConflictAwareOptimizer
from prunnet_pml.record_names import loss_name
from prunnet_pml.registry.mmengine.building import build
from prunnet_pml.registry.mmengine.registries import OPTIM_WRAPPERS, TASK_UTILS


@OPTIM_WRAPPERS.register_module()
class ConflictAwareOptimWrapper(OptimWrapper):
    """mmengine's ``OptimWrapper`` around a :class:`~prunnet_pml.ConflictAwareOptimizer`.

    ::

        optim_wrapper = dict(
            type="prunnet_pml.ConflictAwareOptimWrapper",
            optimizer=dict(type="SGD", lr=0.1, momentum=0.9),
            integration=dict(type="ConflictAware", alpha=0.5),
            accumulative_counts=2,
            clip_grad=dict(max_norm=100),
        )

    What is accumulated are the gradients of every capacity, and what is clipped is the integrated
    gradient. On several processes gradients are averaged in every pass, also while accumulating,
    since what comes after is not linear.

    Args:
        optimizer: As in mmengine: the constructor builds it from its config.
        integration: Config of an integrator, or what ``ConflictAwareOptimizer`` takes.
        shared: As in ``ConflictAwareOptimizer``.
        seed: As in ``ConflictAwareOptimizer``.
        dense_steps: As in ``ConflictAwareOptimizer``.
        subnetworks_per_step: As in ``ConflictAwareOptimizer``.
        between: As in ``ConflictAwareOptimizer``.
        bfloat16: Whether forwards run in bfloat16 autocast, on a CPU too.
        **kwargs: As of ``OptimWrapper``.
    """

    optimizer: Any
    _inner_count: int

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        integration: Any = None,  # noqa: ANN401
        shared: Literal["dense", "sum"] = "sum",
        seed: int = 0,
        dense_steps: int = 0,
        subnetworks_per_step: int | None = 1,
        between: float = 0.5,
        bfloat16: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(optimizer=optimizer, **kwargs)
        self._arguments: dict[str, Any] = {
            "integration": build(integration, TASK_UTILS),
            "shared": shared,
            "seed": seed,
            "dense_steps": dense_steps,
            "subnetworks_per_step": subnetworks_per_step,
            "between": between,
        }
        self._resumed: dict[str, Any] = {}
        self.bfloat16 = bfloat16

    def train_step(self, model: Any, data: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """One iteration: a pass per capacity, then a step if enough has been accumulated.

        Args:
            model: A ``PrunableEmbedder``, or a wrapper with one inside.
            data: A batch.

        Returns:
            The loss of every capacity, ``metric_loss_at_20`` say, and ``loss``, their sum. What is
            between two trained capacities goes by the name of the larger.
        """
        embedder = model.module if is_model_wrapper(model) else model
        data = embedder.data_preprocessor(data, True)
        losses = {}
        trained = trained_capacities(embedder.backbone)
        for capacity in self._wrapped(embedder.backbone).capacities():
            with self.optim_context(model):
                loss = model._run_forward(data, mode="loss")["loss"]
            count = self._inner_count
            self.backward(self.scale_loss(loss))
            self._inner_count = count  # which counts iterations, not passes
            place = drawn_for(trained, capacity)
            losses[loss_name("metric_loss", place)] = loss.detach()
        self._inner_count += 1
        if self.should_update():
            self.step()
        return {"loss": torch.stack([*losses.values()]).sum(), **losses}

    def update_params(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Not for one loss: there is one per capacity.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            "A ConflictAwareOptimWrapper should train a prunnet_pml.PrunableEmbedder, on several "
            'processes with model_wrapper_cfg=dict(type="prunnet_pml.'
            'PrunableDistributedDataParallel"). Found a model that brings one loss.'
        )

    def should_sync(self) -> bool:
        """Always: rows of an unfinished accumulation would never be averaged."""
        return True

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward."""
        with super().optim_context(model):
            if not self.bfloat16:
                yield
                return
            with autocast(dtype=torch.bfloat16):
                yield

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As of ``OptimWrapper``, and what makes draws repeat."""
        super().load_state_dict(state_dict)
        self._resumed = {"prunnet": state_dict["prunnet"]} if "prunnet" in state_dict else {}

    def _wrapped(self, network: nn.Module) -> ConflictAwareOptimizer:
        """The optimizer, which mmengine builds before it knows the model."""
        if not isinstance(self.optimizer, ConflictAwareOptimizer):
            optimizer = ConflictAwareOptimizer(self.optimizer, network, **self._arguments)
            if self._resumed:
                optimizer.load_state_dict({**self.optimizer.state_dict(), **self._resumed})
            self.optimizer = optimizer
        wrapped: ConflictAwareOptimizer = self.optimizer
        return wrapped


@OPTIM_WRAPPERS.register_module()
class ConflictAwareAmpOptimWrapper(ConflictAwareOptimWrapper, AmpOptimWrapper):
    """The same with a ``GradScaler``: float16 on a GPU, as mmengine's ``AmpOptimWrapper``.

    Args:
        **kwargs: As of ``ConflictAwareOptimWrapper`` and ``AmpOptimWrapper``.
    """
