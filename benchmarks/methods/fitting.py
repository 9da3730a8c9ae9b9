"""One network, trained as everybody does."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from measure import TrainingBook
from tasks import Task


def fit(
    task: Task,
    book: TrainingBook,
    title: str,
    network: nn.Module,
    loss_func: nn.Module,
    loss_of: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
) -> nn.Module:
    """Trains one network.

    Args:
        task: What on.
        book: Where the training is kept.
        title: Which one it is: the same title, the same training.
        network: What to train.
        loss_func: What holds the class weights, trained along.
        loss_of: ``(images, embeddings, labels) -> loss``; by default ``loss_func`` alone.

    Returns:
        The network, in eval mode.
    """

    def run() -> None:
        network.train()
        optimizer = task.optimizer(network, loss_func)
        schedule = task.schedule(optimizer)
        for images, labels in task.batches(title):
            embeddings = network(images)
            optimizer.zero_grad()
            if loss_of is None:
                loss_func(embeddings, labels).backward()
            else:
                loss_of(images, embeddings, labels).backward()
            optimizer.step()
            schedule.step()

    book.train(title, {"network": network, "loss": loss_func}, run)
    return network.eval()


def fit_dense(task: Task, book: TrainingBook) -> tuple[nn.Module, nn.Module]:
    """The dense network that many methods begin with, and its loss with the class weights."""
    network, loss_func = task.network(), task.loss()
    return fit(task, book, "dense", network, loss_func), loss_func
