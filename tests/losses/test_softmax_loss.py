"""The linear classifier's loss: its formula, and what pulls on what."""

from __future__ import annotations

import torch
from networks import TinyEmbedder
from pytorch_metric_learning import reducers

import prunnet_pml as prunnet
from prunnet_pml.losses import CompatibleLoss, SoftmaxLoss

LABELS = torch.tensor([0, 2, 1, 2])


def test_equals_a_loop() -> None:
    """On lengths as they are, with the bias: scaling an embedding changes its loss."""
    loss_func = SoftmaxLoss(3, 4, reducer=reducers.DoNothingReducer())
    embeddings = 5 * torch.randn(4, 4)
    weight, bias = loss_func.classifier.weight, loss_func.classifier.bias
    expected = []
    for embedding, label in zip(embeddings, LABELS, strict=True):
        logits = torch.stack([embedding @ weight[c] + bias[c] for c in range(3)])
        expected.append(logits.exp().sum().log() - logits[label])
    found = loss_func(embeddings, LABELS)["loss"]["losses"]
    torch.testing.assert_close(found, torch.stack(expected))


def test_only_the_dense_pass_moves_the_classifier() -> None:
    model = prunnet.make_prunable(TinyEmbedder(), [0.5])
    images = torch.randn(4, 1, 8, 8)
    embedding_size = model(images).shape[1]
    loss_func = CompatibleLoss(SoftmaxLoss(3, embedding_size), model, alignment=0, contrast=0)
    weight = loss_func.loss.classifier.weight
    with prunnet.capacity(model, 0.5):
        loss_func(model(images), LABELS).backward()
    assert weight.grad is None
    loss_func(model(images), LABELS).backward()
    assert weight.grad is not None
