"""The optimizer wrapper that trains several capacities in a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor, nn

from prunnet_pml.draws import (
    FOR_ORDERS,
    check_draws,
    draw_capacities,
    generator_of,
    steps_for_a_draw,
)
from prunnet_pml.finite_step import step_if_finite
from prunnet_pml.gradient_rows import GradientRows
from prunnet_pml.integration import Integrator, as_integrator, default_integrator
from prunnet_pml.network import (
    get_capacity,
    scored_layers,
    scored_parameters,
    set_capacity,
    trained_capacities,
)
from prunnet_pml.norms import batch_counts_as
from prunnet_pml.passes import new_pass
from prunnet_pml.trainable import check_trainable
from prunnet_pml.user_warning import warn_user

_SHARED = ("defaults", "state", "param_groups")
"""What is the wrapped optimizer's own."""


class ConflictAwareOptimizer(torch.optim.Optimizer):
    """Collects one gradient per capacity, integrates them, and steps the optimizer that it wraps.

    It is a ``torch.optim.Optimizer`` and shares parameter groups and state with the wrapped one, so
    LR schedulers, ``GradScaler``, gradient clipping, DDP and checkpoints work as they do with
    that::

        for images, labels in loader:
            for capacity in optimizer.capacities():
                loss_func(model(images), labels).backward()
            optimizer.step()

    When the inner loop ends, ``.grad`` holds the integrated gradient. Inside of it ``.grad`` is
    that of one capacity (without a ``GradScaler``, clip there to clip each).

    Args:
        optimizer: Any optimizer whose groups hold the scores; what else they hold (class weights of
            a loss) is trained along.
        model: The prunable network.
        integration: An integrator, or any function of a matrix ``[N + 1, n]`` to a vector ``[n]``
            for the N subnetworks of a step, such as TorchJD's aggregators. By default
            ``ConflictAware``, see ``default_integrator``. (Where they are drawn, the rows are of
            other capacities in every step: one that has weights or a memory for each row needs all
            of them, ``subnetworks_per_step=None``.)
        shared: What parameters without scores follow (norm affine, embedding head, class weights,
            ...). ``"sum"``: the sum over all capacities. ``"dense"``: the dense network's gradient
            alone, as in the paper.
        seed: Seeds what a step draws: its subnetworks, and the integrator's orders. The same on
            every rank, replicas stay equal.
        dense_steps: How many steps train the dense network alone, before subnetworks join in:
            ``capacities()`` yields 1.0 only, so such a step costs what a plain one does. What that
            does to recall depends on the data, see docs/method.md. (The paper has none.)
        subnetworks_per_step: How many subnetworks take part in a step beside the dense network,
            drawn anew for each from the trained capacities below 1. By default one: a step has two
            passes, and wants more steps than a network alone; with two and a half times as many it
            found more than all four in every step, as in the paper, which is None and draws nothing
            (docs/method.md). Where some are drawn, a capacity's running averages see fewer batches:
            each moves them further, so that they reach as many steps back as the dense network's,
            but are of fewer images, so ``calibrate`` before an evaluation. A sum of fewer gradients
            is smaller, as SGD and clipping notice.
        between: In which share of its draws a trained capacity gives its place to one between it
            and the next lower, drawn evenly; the lowest never does. So capacities between trained
            ones take part, too; none keeps running averages, and those of a trained one are of
            fewer batches: ``calibrate`` both. Without effect where nothing is drawn. With norms
            that were frozen after they had trained say 0: what is between would train on statistics
            interpolated between its neighbours'.

    Attributes:
        optimizer: The wrapped optimizer.
        skipped_steps: How many steps were skipped because a gradient was infinite or NaN; not
            counted where the wrapped optimizer is ``fused``.

    Raises:
        ValueError: If ``model`` is not prunable, its parts train different capacities, its norms
            were replaced since, scores are missing in the optimizer's groups, or an argument is out
            of its range.
    """

    _step_supports_amp_scaling = True  # GradScaler then always calls step, and rows never go stale

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        model: nn.Module,
        integration: Integrator | Callable[[Tensor], Tensor] | None = None,
        *,
        shared: Literal["dense", "sum"] = "sum",
        seed: int = 0,
        dense_steps: int = 0,
        subnetworks_per_step: int | None = 1,
        between: float = 0.5,
    ) -> None:
        if isinstance(optimizer, ConflictAwareOptimizer):
            raise ValueError("`optimizer` should be the one to wrap. Found one wrapped already.")
        if shared not in ("dense", "sum"):
            raise ValueError(f"`shared` should be 'dense' or 'sum'. Found {shared!r}.")
        if not isinstance(seed, int):
            raise ValueError(f"`seed` should be an integer. Found {seed!r}.")
        if type(dense_steps) is not int or dense_steps < 0:
            raise ValueError(
                f"`dense_steps` should be an integer from 0 on. Found {dense_steps!r}."
            )
        check_trainable(model, optimizer)
        check_draws(subnetworks_per_step, between, trained_capacities(model))
        super().__init__(optimizer.param_groups, optimizer.defaults)
        for name in _SHARED:
            del self.__dict__[name]  # from here on those of the wrapped one
        self.optimizer = optimizer
        self.model = model
        if integration is None:
            integration = default_integrator(model)
        self.integration = as_integrator(integration)
        self.shared = shared
        self.seed = seed
        self.dense_steps = dense_steps
        self.subnetworks_per_step = subnetworks_per_step
        self.between = between
        self.skipped_steps = 0
        self._steps = 0
        self._rows = GradientRows()
        self._running = False  # inside capacities()
        self._ran: list[float] = []  # which capacities the last loop went through

    @property
    def next_capacities(self) -> tuple[float, ...]:
        """What the next loop over ``capacities()`` goes through; the same until ``step()``."""
        if self._steps < self.dense_steps:
            return (1.0,)
        trained, count = trained_capacities(self.model), self.subnetworks_per_step
        return (1.0, *draw_capacities(trained, count, self.between, self.seed, self._steps))

    def capacities(self) -> Iterator[float]:
        """Yields 1.0, then the subnetworks of this step, with the network set to each.

        Afterwards the network is dense again and ``.grad`` holds the integrated gradient. Loops add
        up until ``step()``: gradient accumulation is one loop per batch, then a step.

        Raises:
            RuntimeError: If a capacity's pass left no gradient, or a loop is open already.
        """
        if self._running:
            raise RuntimeError("`capacities()` should run to its end before it starts again.")
        order = self.next_capacities
        scored = scored_parameters(self.model)
        self._forget_masks()
        self._running, self._ran = True, []
        complete = False
        try:
            for index, capacity in enumerate(order):
                set_capacity(self.model, capacity)
                self._clear_gradients()
                self._rows.make_room(index)
                with new_pass(self.model), batch_counts_as(self.model, self._steps_for(capacity)):
                    yield capacity
                self._collect(index, len(order), capacity, scored)
            self._integrate(scored if len(order) > 1 else set())
            complete = True
        finally:
            set_capacity(self.model, 1.0)
            self._running = False
            if not complete:
                self._rows.clear()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Steps the wrapped optimizer with the integrated gradient.

        An infinite or NaN gradient skips the step, with a warning that says at which capacity and
        in which parameter it was found (silently under a ``GradScaler``, which expects some). Where
        the wrapped optimizer is ``fused``, it is left to its kernel and the host waits for nothing.

        Raises:
            ValueError: If a closure is given: one gradient per capacity can't come from one
                closure.
            RuntimeError: If the loop over ``capacities()`` has not run to its end.
        """
        if closure is not None:
            raise ValueError("`closure` should be None. Found a closure.")
        if self._running or not self._rows:
            raise RuntimeError(
                "`step()` should follow a whole loop over `capacities()`. "
                f"Found {len(self._ran)} of {len(self.next_capacities)} capacities since the last "
                "step."
            )
        scale, found_inf = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        if not step_if_finite(self.optimizer, scale, found_inf):
            self._skip(silent=found_inf is not None)
        self._steps += 1
        self._rows.retire()
        self._ran = []
        self._forget_masks()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears ``.grad`` and, outside of a loop over ``capacities()``, frees what was collected.

        (After a step that stays allocated until the next loop: room for the next gradients.)
        """
        self.optimizer.zero_grad(set_to_none)
        if not self._running:
            self._forget()

    def state_dict(self) -> dict[str, Any]:
        """The wrapped optimizer's state, and what makes draws repeat; arguments are not in it.

        Hooks on loading and saving are the wrapped optimizer's: register them with that.
        """
        own = {"seed": self.seed, "steps": self._steps, "skipped_steps": self.skipped_steps}
        return {**self.optimizer.state_dict(), "prunnet": own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads a state of this class, or one of the wrapped optimizer alone."""
        self.optimizer.load_state_dict(
            {key: value for key, value in state_dict.items() if key != "prunnet"}
        )
        own = state_dict.get("prunnet", {})
        self.seed = own.get("seed", self.seed)
        self._steps = own.get("steps", self._steps)
        self.skipped_steps = own.get("skipped_steps", self.skipped_steps)
        self._forget()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """The wrapped optimizer's groups and state, which its ``load_state_dict`` replaces."""
        if name in _SHARED and "optimizer" in self.__dict__:
            return getattr(self.optimizer, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        """All but what others hang on an optimizer: a scheduler's ``step``, and hooks."""
        return {
            name: value
            for name, value in self.__dict__.items()
            if name != "step" and not name.startswith("_optimizer_")
        }

    def _steps_for(self, capacity: float) -> float:
        """In how many steps a capacity has one pass."""
        trained = trained_capacities(self.model)
        return steps_for_a_draw(trained, self.subnetworks_per_step, self.between, capacity)

    def _forget(self) -> None:
        self._rows.clear()
        self._ran = []

    def _forget_masks(self) -> None:
        """Some optimizers write ``parameter.data``, which no version counter sees."""
        for layer in scored_layers(self.model).values():
            layer.forget_masks()

    def _parameters(self) -> Iterator[nn.Parameter]:
        for group in self.param_groups:
            yield from group["params"]

    def _clear_gradients(self) -> None:
        for parameter in self._parameters():
            parameter.grad = None

    @torch.no_grad()
    def _collect(self, index: int, count: int, capacity: float, scored: set[nn.Parameter]) -> None:
        """Takes the gradients that a capacity's backward left."""
        if (now := get_capacity(self.model)) != capacity:
            raise RuntimeError(
                f"The loop over `capacities()` should leave the network at capacity {capacity:g}. "
                f"Found {now:g}."
            )
        trained = [parameter for parameter in scored if parameter.requires_grad]
        if not any(p.grad is not None for p in trained or self._parameters()):
            raise RuntimeError(
                f"Every capacity should run backward. Found no gradient at capacity {capacity:g}."
            )
        for layer in scored_layers(self.model).values():
            layer.mask_score_gradients()
        for parameter in self._parameters():
            gradient, parameter.grad = parameter.grad, None
            if gradient is not None and (index == 0 or self.shared == "sum" or parameter in scored):
                self._rows.add(parameter, index, count, gradient)
        self._ran.append(capacity)

    @torch.no_grad()
    def _integrate(self, scored: set[nn.Parameter]) -> None:
        """Leaves the integrated gradient of what has been collected in ``.grad``."""
        generator = generator_of(FOR_ORDERS, self.seed, self._steps)
        with ExitStack() as stack:
            for device in {parameter.device.type for parameter in self._parameters()}:
                if torch.amp.is_autocast_available(device):  # which would halve inner products
                    stack.enter_context(torch.autocast(device, enabled=False))
            self._rows.integrate(scored, self.integration, generator)

    def _skip(self, silent: bool) -> None:
        self.skipped_steps += 1
        if silent:
            return
        what = "the integrated gradient"
        if found := self._rows.not_finite():
            names = {parameter: name for name, parameter in self.model.named_parameters()}
            name = names.get(found[0], "a loss parameter")
            what = f"the gradient of `{name}` at capacity {self._ran[found[1]]:g}"
        warn_user(f"Step skipped: {what} is not finite.", RuntimeWarning)
