"""Scored layers: a Conv2d or Linear that owns a score per weight and shows the masked weight.

The class of a layer is exchanged for a subclass of itself, made once per class, whose attribute
``weight`` reads ``mask * weight``. So whoever reads it, the layer's own ``forward``, a network that
calls ``F.linear(x, layer.weight)`` itself, or a hook, sees the subnetwork; parameters keep their
names, and ``scores`` stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunnet_pml.class_exchange import exchange_class, restore_class
from prunnet_pml.fused_steps import watch
from prunnet_pml.masks import mask, thresholds
from prunnet_pml.space import Stamped

SCORES = {"weight": "scores", "bias": "bias_scores"}
"""Which parameter holds the scores of which."""


class _StraightThrough(torch.autograd.Function):
    """``mask * weight``, with d output / d score = weight * sign(score), for what is pruned too.

    No mask stands for the dense network: the output is the weight.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scores: Tensor, kept: Tensor | None) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(weight, scores, kept)
        return weight.view_as(weight) if kept is None else weight * kept

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        weight, scores, kept = ctx.saved_tensors
        of_scores = scores.sign().mul_(weight).mul_(gradient)
        return gradient if kept is None else gradient * kept, of_scores, None


def straight_through(weight: Tensor, scores: Tensor, kept: Tensor | None) -> Tensor:
    """``mask * weight``; no mask stands for the dense network. All of one shape."""
    masked: Tensor = _StraightThrough.apply(weight, scores, kept)
    return masked


class ScoredLayer(Stamped):
    """What every scored layer is: a mixin in front of the layer's own class.

    Attributes:
        scores: One score per weight, shaped as the weight.
        bias_scores: One score per bias; absent where biases stay dense.
        capacity: The capacity at which ``weight`` is read now; set by ``set_capacity``.
        trained_capacities: The capacities that take part in training, largest first.
        multiple: What is kept is kept in multiples of this.
    """

    scores: nn.Parameter
    bias_scores: nn.Parameter
    capacity: float
    trained_capacities: tuple[float, ...]
    multiple: int = 1
    _parameters: dict[str, Any]  # who asks for scores has looked that there are some
    _thresholds: dict[str, tuple[tuple[Any, ...], dict[float, Tensor]]]
    _masks: dict[str, tuple[tuple[Any, ...], Tensor]]

    @property
    def weight(self) -> Any:  # noqa: ANN401
        return self._masked("weight")

    @property
    def bias(self) -> Any:  # noqa: ANN401
        return self._masked("bias")

    def start(self, trained_capacities: tuple[float, ...]) -> None:
        """Gives a layer whose class was just exchanged the state of a dense one."""
        self.capacity = 1.0
        self.trained_capacities = trained_capacities
        self._thresholds, self._masks = {}, {}

    def end(self) -> None:
        """Takes that state away again."""
        for name in ("capacity", "trained_capacities", "_thresholds", "_masks"):
            del self.__dict__[name]

    def scored(self) -> dict[str, nn.Parameter]:
        """The scores that there are, by the name of what they rank: ``weight`` or ``bias``."""
        found = {name: self._parameters.get(scores) for name, scores in SCORES.items()}
        return {name: scores for name, scores in found.items() if scores is not None}

    def set_capacity(self, capacity: float) -> None:
        """Reads ``weight`` at this capacity from now on.

        Masks are found here. A forward finds them again where scores have changed since; in a
        compiled one it is ``train``, ``eval`` and loading that do.
        """
        self.capacity = capacity
        self.find_masks()

    def find_masks(self) -> None:
        """Finds the masks of the current capacity where scores have changed."""
        if self.capacity == 1:
            self._masks.clear()
            return
        for name in self.scored():
            self._mask(SCORES[name])

    def forget_masks(self) -> None:
        """Drops what was found from the scores: for when they were changed through ``.data``."""
        self._thresholds.clear()
        self._masks.clear()

    def train(self, mode: bool = True) -> Any:  # noqa: ANN401 (Self)
        """Also finds the masks anew: scores may have moved through ``.data`` or been compiled."""
        super().train(mode)
        self.forget_masks()
        self.find_masks()
        return self

    def _load_from_state_dict(self, *args: Any) -> None:  # noqa: ANN401
        super()._load_from_state_dict(*args)
        self.find_masks()

    def _apply(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (Self)
        """Also finds the masks anew, of another dtype or device now."""
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._find_masks_again()
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a copy: a compiled graph would look for masks and find none."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._find_masks_again()

    def _find_masks_again(self) -> None:
        """Unless scores have no versions to tell whether they changed, made in inference mode."""
        if not any(scores.is_inference() for scores in self.scored().values()):
            self.find_masks()

    def _replicate_for_data_parallel(self) -> Any:  # noqa: ANN401
        raise RuntimeError(
            "A prunable network can't be replicated by nn.DataParallel, which sets `weight`. "
            "Use DistributedDataParallel."
        )

    def mask_score_gradients(self) -> None:
        """Zeroes the score gradients of what the current capacity prunes.

        The estimator gives every score a gradient, but a subnetwork moves only its own.
        """
        for name, scores in self.scored().items():
            if self.capacity < 1 and scores.grad is not None:
                scores.grad.mul_(self._mask(SCORES[name]))

    def _masked(self, name: str) -> Any:  # noqa: ANN401
        parameter = self._parameters[name]
        scores = self._parameters.get(SCORES[name])
        if parameter is None or scores is None:
            return parameter
        kept = None if self.capacity == 1 else self._mask(SCORES[name])
        if torch.is_grad_enabled() and scores.requires_grad:
            return straight_through(parameter, scores, kept)
        return parameter if kept is None else parameter * kept

    def first_scores(self, name: str, initial_scores: Callable[[Tensor], Tensor]) -> Tensor:
        """The scores that training starts from, shaped as those of ``name`` are."""
        return initial_scores(self._ranked(name))

    def _ranked(self, name: str) -> Tensor:
        """What scores that start from magnitudes rank: the weight or bias itself."""
        parameter: Tensor = self._parameters[name]
        return parameter.detach()

    def _mask(self, name: str) -> Tensor:
        if torch.compiler.is_compiling():  # a compiled graph reads what set_capacity found
            return self._masks[name][1]
        scores: Tensor = self._parameters[name]
        now = (*_state(scores), self.capacity)
        found_from, kept = self._masks.get(name, ((), scores))
        if not _equal(found_from, now):
            with torch.inference_mode(False):  # training may use what an evaluation found
                kept = mask(scores, self._threshold(name))
            self._masks[name] = (now, kept)
        return kept

    def _threshold(self, name: str) -> Tensor:
        """The threshold at the layer's capacity; those of all trained capacities come with it."""
        scores = self._parameters[name]
        found_from, found = self._thresholds.get(name, ((), {}))
        now = (scores, scores._version)
        if not _equal(found_from, now):
            found = {}
            self._thresholds[name] = (now, found)
            watch(scores)
        if self.capacity not in found:
            wanted = sorted({*self.trained_capacities, self.capacity} - found.keys())
            found.update(zip(wanted, thresholds(scores, wanted, self.multiple), strict=True))
        return found[self.capacity].to(scores.device)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_thresholds": {}, "_masks": {}}


def _state(tensor: Tensor) -> tuple[Any, ...]:
    """What of a parameter decides whether something found from it still holds.

    The version counter alone won't do: scores that replace others may stand at the same count.
    """
    return tensor, tensor._version, tensor.dtype, tensor.device


def _equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two states are equal, tensors meaning the very same ones."""
    return len(one) == len(other) and all(
        a is b or (not isinstance(a, Tensor) and a == b) for a, b in zip(one, other, strict=True)
    )


def is_scorable(module: nn.Module) -> bool:
    """Whether a module is a Conv2d or Linear, of any subclass, with a parameter to rank.

    The weight is none where it is computed (by weight_norm, say), and an integer once quantised.
    """
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return False
    weight = module._parameters.get("weight")
    return isinstance(weight, nn.Parameter) and weight.is_floating_point()


def add_scores(
    layer: nn.Module,
    initial_scores: Callable[[Tensor], Tensor],
    trained_capacities: tuple[float, ...],
    score_bias: bool = False,
) -> None:
    """Turns a layer into a scored one, in place.

    Args:
        layer: A Conv2d or Linear of any subclass.
        initial_scores: Maps a weight or bias to scores of its shape.
        trained_capacities: The capacities that take part in training, largest first.
        score_bias: Whether the bias gets scores of its own.
    """
    scored = exchange_class(layer, ScoredLayer)
    scored.start(trained_capacities)
    for name, scores_name in SCORES.items():
        parameter = scored._parameters[name]
        if parameter is not None and (name == "weight" or score_bias):
            scores = scored.first_scores(name, initial_scores)
            scored.register_parameter(scores_name, nn.Parameter(scores, parameter.requires_grad))


def remove_scores(layer: ScoredLayer) -> None:
    """Turns a scored layer into one of its original class with the masked weight, in place."""
    with torch.no_grad():
        baked = {name: layer._masked(name) for name in SCORES}
    for name, scores_name in SCORES.items():
        if layer._parameters.pop(scores_name, None) is not None:
            parameter = layer._parameters[name]
            if baked[name] is not parameter:  # which other layers may share
                pruned = nn.Parameter(baked[name].detach(), parameter.requires_grad)
                layer._parameters[name] = pruned
    layer.end()
    restore_class(layer)
