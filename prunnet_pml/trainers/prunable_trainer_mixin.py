"""What makes a trainer of PML train every capacity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pytorch_metric_learning.trainers import BaseTrainer
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor, nn
from tqdm import tqdm

from prunnet_pml.network import (
    is_prunable,
    scored_layers,
    trained_capacities,
)
from prunnet_pml.optimizer import ConflictAwareOptimizer
from prunnet_pml.trainers.capacity_loss_tracker import CapacityLossTracker


class PrunableTrainerMixin(BaseTrainer):
    """In front of a trainer of PML: each iteration runs the trainer's own loss at every capacity.

    ::

        class PrunableTrainWithClassifier(PrunableTrainerMixin, TrainWithClassifier):
            pass

    Constructor, hooks and record keeper are the trainer's. What differs is this:

    - ``models`` hold a prunable network: the trunk, the embedder, or both.
    - ``optimizers`` hold a :class:`~prunnet_pml.ConflictAwareOptimizer` around each of them, under
      any of PML's names, or one around both (its model is then a module that holds both). What else
      stands in its parameter groups, such as class weights, is trained along. The parameters of
      plain optimizers follow its ``shared``: they get the sum of all capacities' gradients, or the
      dense network's.
    - Beside every loss stands one per trained capacity, ``metric_loss_at_20``, in the progress bar,
      in ``trainer.losses`` and so in the logs; what is drawn between two goes by the larger's name.
      ``total_loss`` is their sum.

    One batch serves all capacities, and one capacity's graph is alive at a time. Gradient clippers
    run on the integrated gradient.

    It goes with all trainers of PML. While ``DeepAdversarialMetricLearning`` trains its generator
    alone, the prunable network is frozen, and only the dense pass is run.

    Raises:
        ValueError: If no model is prunable, one has no ConflictAwareOptimizer, the scores are
            frozen, or two of these optimizers differ in trained capacities, in ``shared`` or in
            what a step trains.
    """

    models: dict[str, nn.Module]
    optimizers: dict[str, Any]

    def train(self, start_epoch: int = 1, num_epochs: int = 1) -> None:
        """As PML's, with the losses of all capacities in the progress bar."""
        self.initialize_dataloader()
        for self.epoch in range(start_epoch, num_epochs + 1):
            self.set_to_train()
            c_f.LOGGER.info(f"TRAINING EPOCH {self.epoch}")
            progress = tqdm(range(self.iterations_per_epoch), desc=f"epoch {self.epoch}")
            for self.iteration in progress:
                self.forward_and_backward()
                self.end_of_iteration_hook(self)
                progress.set_postfix(_in_digits(self.losses), refresh=False)
                self.step_lr_schedulers(end_of_epoch=False)
            self.step_lr_schedulers(end_of_epoch=True)
            self.zero_losses()
            if self.end_of_epoch_hook(self) is False:
                break

    def forward_and_backward(self) -> None:
        """One iteration: a pass per capacity, then a step."""
        self.zero_losses()
        self.zero_grad()
        self.update_loss_weights()
        batch = self.get_batch()
        self.loss_tracker.start()
        for capacity in self._passes():
            self.calculate_loss(batch)
            self.loss_tracker.update(self.loss_weights)
            self.backward()
            self.loss_tracker.keep(capacity)
        self.loss_tracker.finish()
        self.clip_gradients()
        self.step_optimizers()

    def _passes(self) -> Iterator[float]:
        """Every capacity in turn, dense first; afterwards every ``.grad`` is the one to step."""
        optimizers = self._conflict_aware()
        if not all(_is_trainable(optimizer.model) for optimizer in optimizers):
            yield 1.0
            return
        outside: list[nn.Parameter] = []
        if optimizers[0].shared == "dense":
            groups = [group for plain in self._plain() for group in plain.param_groups]
            outside = [parameter for group in groups for parameter in group["params"]]
        of_dense: list[Tensor | None] = []
        if len(wanted := {optimizer.next_capacities for optimizer in optimizers}) > 1:
            raise RuntimeError(
                "`optimizers` should train the same capacities in a step: have one seed, and as "
                f"many steps behind them. Found {' and '.join(map(str, sorted(wanted)))}."
            )
        loops = [optimizer.capacities() for optimizer in optimizers]
        for capacity, *_ in zip(*loops, strict=True):  # strict: it runs all of them to the end
            yield capacity
            if capacity == 1:
                of_dense = [parameter.grad for parameter in outside]
            for parameter in outside:
                parameter.grad = None
        for parameter, gradient in zip(outside, of_dense, strict=True):
            parameter.grad = gradient

    def _conflict_aware(self) -> list[ConflictAwareOptimizer]:
        return [o for o in self.optimizers.values() if isinstance(o, ConflictAwareOptimizer)]

    def _plain(self) -> list[Any]:
        return [o for o in self.optimizers.values() if not isinstance(o, ConflictAwareOptimizer)]

    def initialize_loss_tracker(self) -> None:
        capacities = trained_capacities(self._conflict_aware()[0].model)
        self.loss_tracker = CapacityLossTracker(self.loss_names, capacities)
        self.losses = self.loss_tracker.losses

    def modify_schema(self) -> None:
        super().modify_schema()
        self.schema["optimizers"].important = []  # one may hold the parameters of several models

    def verify_dict_keys(self) -> None:
        super().verify_dict_keys()
        prunable = {name: model for name, model in self.models.items() if is_prunable(model)}
        if not prunable:
            raise ValueError(
                "`models` should hold a prunable network, see make_prunable. "
                f"Found none in {sorted(self.models)}."
            )
        optimizers = self._conflict_aware()
        covered = {layer for o in optimizers for layer in scored_layers(o.model).values()}
        for name, model in prunable.items():
            if not covered >= set(scored_layers(model).values()):
                raise ValueError(
                    "`optimizers` should hold a ConflictAwareOptimizer around every prunable "
                    f"network. Found none around {name!r}."
                )
        wrapped = {
            key.removesuffix("_optimizer")
            for key, optimizer in self.optimizers.items()
            if isinstance(optimizer, ConflictAwareOptimizer)
        }
        if frozen := (wrapped | prunable.keys()) & set(self.freeze_these):
            raise ValueError(
                "`freeze_these` should name no prunable network, nor what a ConflictAwareOptimizer "
                f"is called after: no capacity would be trained. Found {sorted(frozen)}."
            )
        for name, values in _loop_settings(optimizers).items():
            if len(set(values)) > 1:
                raise ValueError(
                    f"`optimizers` should agree in {name}. Found {' and '.join(map(str, values))}."
                )


def _loop_settings(optimizers: list[ConflictAwareOptimizer]) -> dict[str, list[Any]]:
    """What decides which capacities a step trains and what follows them, of each optimizer."""
    drawing = [optimizer for optimizer in optimizers if optimizer.subnetworks_per_step is not None]
    return {
        "trained capacities": [trained_capacities(optimizer.model) for optimizer in optimizers],
        "`shared`": [optimizer.shared for optimizer in optimizers],
        "`dense_steps`": [optimizer.dense_steps for optimizer in optimizers],
        "`subnetworks_per_step`": [optimizer.subnetworks_per_step for optimizer in optimizers],
        "`between`": [optimizer.between for optimizer in drawing],
        "`seed`, by which they draw subnetworks": [optimizer.seed for optimizer in drawing],
    }


def _in_digits(losses: Mapping[str, Any]) -> dict[str, str]:
    """Losses as the progress bar shows them; all come from the device in one copy."""
    tensors = {name: loss.detach() for name, loss in losses.items() if isinstance(loss, Tensor)}
    numbers = dict(losses)
    if tensors:
        device = next(iter(tensors.values())).device
        values = torch.stack([tensor.reshape(()).to(device) for tensor in tensors.values()])
        numbers.update(zip(tensors, values.tolist(), strict=True))
    return {name: f"{number:.5f}" for name, number in numbers.items()}


def _is_trainable(model: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in model.parameters())
