"""What a trained checkpoint is worth, at any capacity, by its config's validation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from prunnet_pml.evaluation import CompatibilityMatrix
from prunnet_pml.interpolation_warning import statistics_owners, warn_of_interpolation
from prunnet_pml.masks import check_capacities
from prunnet_pml.network import trained_capacities
from prunnet_pml.registry.mmengine.compatibility_metric import CompatibilityMetric
from prunnet_pml.registry.mmengine.prunable_embedder import PrunableEmbedder
from prunnet_pml.registry.mmengine.reading import read_checkpoint
from prunnet_pml.registry.mmengine.unknown_keys import unknown_keys_named


def evaluate_checkpoint(
    config: Config, checkpoint: str | Path, capacities: Iterable[float] | None = None
) -> CompatibilityMatrix:
    """Validates a checkpoint as its training did, on the config's data and by its metric.

    Args:
        config: The config that it was trained from, see
            :func:`~prunnet_pml.registry.mmengine.bundled_configs.load_config`.
        checkpoint: A file of the training's ``work_dir``. Nothing in it is run: it is opened as
            tensors, numbers and text.
        capacities: Those of queries and galleries, of a ``PrunableEmbedder``; the dense network and
            the trained capacities by default. Others are embedded with norm statistics between
            those of their neighbours, unless the checkpoint has some of their own.

    Returns:
        The matrix.

    Raises:
        ValueError: If the config has no validation or no ``CompatibilityMetric``, or a key that
            nothing takes; the checkpoint is no such file or of another network; a capacity is not
            in (0, 1] or comes twice, or the model is not one whose capacities can be chosen.
        FileNotFoundError: If there is no such checkpoint.
    """
    for name in ("val_dataloader", "val_evaluator"):
        if config.get(name) is None:
            raise ValueError(f"`config` should have a `{name}`. Found none.")
    scope = DefaultScope.overwrite_default_scope(config.get("default_scope"))
    with scope, unknown_keys_named(config):
        model = MODELS.build(config.model)
        evaluator = Evaluator(config.val_evaluator)
        loader = Runner.build_dataloader(config.val_dataloader)
    metric = _metric(evaluator)
    _load(model, checkpoint)
    if capacities is not None:
        _set_capacities(model, check_capacities(capacities, dense=True))
    evaluator.dataset_meta = getattr(loader.dataset, "metainfo", None)
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    with torch.no_grad():
        for batch in loader:
            evaluator.process(model.val_step(batch), batch)
    evaluator.evaluate(len(loader.dataset))
    matrix = cast("CompatibilityMatrix", metric.matrix)
    if isinstance(model, PrunableEmbedder):
        matrix = replace(matrix, trained_capacities=trained_capacities(model.backbone))
    return matrix


def _metric(evaluator: Evaluator) -> CompatibilityMetric:
    for metric in evaluator.metrics:
        if isinstance(metric, CompatibilityMetric):
            return metric
    found = [type(metric).__name__ for metric in evaluator.metrics]
    raise ValueError(f"`config.val_evaluator` should have a CompatibilityMetric. Found {found}.")


def _load(model: BaseModel, checkpoint: str | Path) -> None:
    state = read_checkpoint(checkpoint)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:  # torch's: the names of all tensors that don't fit
        reason = textwrap.shorten(str(error), 300)
        raise ValueError(f"`checkpoint` should fit the config's model. Found {reason}") from error


def _set_capacities(model: BaseModel, capacities: tuple[float, ...]) -> None:
    if not isinstance(model, PrunableEmbedder):
        found = type(model).__name__
        raise ValueError(f"`capacities` can be chosen of a PrunableEmbedder. Found a {found}.")
    model.predicted_capacities = capacities
    remedy = "Train with a NormCalibrationHook that names them, or prune with `calibration`."
    warn_of_interpolation(capacities, statistics_owners(model.backbone), remedy)
