"""From images to embeddings, at one capacity or at many in one pass over the data."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from numbers import Integral
from typing import Any, TypeAlias, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from prunnet_pml.evaluation.sharing import (
    gather,
    local_network,
    share_of_batches,
    share_of_dataset,
)
from prunnet_pml.given_network import as_input, check_embeddings
from prunnet_pml.network import capacity

Images: TypeAlias = Dataset[Any] | DataLoader[Any] | tuple[Tensor, Tensor]
"""A dataset of ``(image, label)``, a loader of such batches, or tensors ``([n, ...], [n])``."""

_Key = TypeVar("_Key", bound=Hashable)


def embed(
    model: nn.Module,
    data: Images,
    *,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    normalize: bool = True,
) -> tuple[Tensor, Tensor]:
    """Embeds images with any network: a prunable one at its current capacity, or a plain one.

    The network runs in eval mode and without gradients; its modes are restored afterwards, also
    when an exception is raised. In a process group every process has to call it: each embeds its
    share of the batches, and all get all embeddings.

    Args:
        model: Maps images ``[b, ...]`` to embeddings ``[b, d]``.
        data: A dataset of ``(image, label)``, a DataLoader of such batches, or a tuple of tensors
            ``(images [n, ...], labels [n])``. Images of type uint8 are scaled to [0, 1].
        batch_size: Images per forward; a DataLoader brings its own.
        device: Where to send the images; by default where the network's parameters are.
        normalize: Whether embeddings are divided by their Euclidean norm.

    Returns:
        Embeddings, float32 ``[n, d]``, and labels, int64 ``[n]``, both on the CPU.

    Raises:
        ValueError: If ``data`` is none of the above or is empty, a label is not an integer, or the
            network returns something else than finite embeddings ``[b, d]``.
    """
    passes = {None: nullcontext}
    embeddings, labels = _embed(model, data, passes, batch_size, device, normalize)
    return embeddings[None], labels


def embed_capacities(
    model: nn.Module,
    data: Images,
    capacities: Iterable[float],
    *,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    normalize: bool = True,
) -> tuple[dict[float, Tensor], Tensor]:
    """Embeds a set of images with a prunable network at several capacities.

    The data are read once and every batch goes through all capacities in turn, so that a shuffled
    loader or random augmentation gives every capacity the same images in the same order. The
    network's capacity and modes are restored afterwards, also when an exception is raised.

    Args:
        model: A prunable network.
        data: As in :func:`embed`.
        capacities: Each in (0, 1].
        batch_size: As in :func:`embed`.
        device: As in :func:`embed`.
        normalize: As in :func:`embed`.

    Returns:
        Embeddings by capacity, float32 ``[n, d]`` each, and labels, int64 ``[n]``, on the CPU.

    Raises:
        ValueError: As :func:`embed` and :func:`prunnet_pml.capacity`.
    """
    passes = {value: partial(capacity, model, value) for value in capacities}
    return _embed(model, data, passes, batch_size, device, normalize)


def check_images(data: object, name: str = "data") -> None:
    """Refuses what holds no images and labels, as far as that can be seen without reading it.

    Args:
        data: What was given.
        name: What the message calls it.

    Raises:
        ValueError: If it is neither dataset nor loader nor two tensors of one length.
    """
    if isinstance(data, Dataset | DataLoader):
        return
    if not (isinstance(data, tuple) and len(data) == 2 and all(map(torch.is_tensor, data))):
        found = type(data).__name__
        raise ValueError(
            f"`{name}` should be a Dataset, a DataLoader or two tensors. Found {found}."
        )
    images, labels = data
    if len(images) != len(labels):
        found = f"{len(images)} and {len(labels)}"
        raise ValueError(f"`{name}` should hold as many labels as images. Found {found}.")


def _embed(
    model: nn.Module,
    data: Images,
    passes: Mapping[_Key, Callable[[], AbstractContextManager[None]]],
    batch_size: int,
    device: torch.device | str | None,
    normalize: bool,
) -> tuple[dict[_Key, Tensor], Tensor]:
    from tqdm import tqdm

    check_images(data)
    if device is None:
        device = next((parameter.device for parameter in model.parameters()), "cpu")
    model = local_network(model)
    found: list[tuple[dict[_Key, Tensor], Tensor]] = []  # by batch: embeddings by pass, and labels
    with _evaluating(model), torch.no_grad():
        for batch in tqdm(_batches(data, batch_size), "embed", disable=None, leave=False):
            if not isinstance(batch, tuple | list) or len(batch) < 2:
                raise ValueError(
                    f"`data` should yield (image, label). Found {type(batch).__name__}."
                )
            if not isinstance(batch[0], Tensor):
                kind = type(batch[0]).__name__
                raise ValueError(f"`data` should yield images as one tensor. Found a {kind}.")
            images = as_input(batch[0], model, device)
            embeddings = {}
            for key, at_capacity in passes.items():
                with at_capacity():
                    embedded = model(images)  # [b, d]
                check_embeddings(embedded, len(images))
                embeddings[key] = _finite(embedded, normalize)
            found.append((embeddings, _checked_labels(batch[1], len(images))))
    found = gather(found)
    if not found:
        raise ValueError("`data` should hold at least one image. Found none.")
    labels = torch.cat([labels for _, labels in found])
    return {key: torch.cat([batch[key] for batch, _ in found]) for key in passes}, labels


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode; every module goes back to its own mode, since some may be frozen in eval mode."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _batches(data: Images, batch_size: int) -> Iterable[Any]:
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"`batch_size` should be an integer from 1 on. Found {batch_size!r}.")
    batch_size = int(batch_size)
    if isinstance(data, DataLoader):
        return share_of_batches(data)
    if isinstance(data, Dataset):
        return DataLoader(share_of_dataset(data, batch_size), batch_size)
    images, labels = data
    if len(images) == 0:
        return []
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
    return list(share_of_batches(batches))


def _checked_labels(given: Any, count: int) -> Tensor:  # noqa: ANN401 (what a loader collates)
    try:
        labels: Tensor = torch.as_tensor(given).cpu()
    except (TypeError, ValueError, RuntimeError) as error:  # of texts, say
        found = type(given).__name__
        raise ValueError(f"labels should be {count} integers. Found a {found}: {error}") from error
    if labels.shape != (count,) or labels.is_floating_point():
        found = f"{labels.dtype} {tuple(labels.shape)}"
        raise ValueError(f"labels should be {count} integers, one an image. Found {found}.")
    return labels.long()


def _finite(embeddings: Tensor, normalize: bool) -> Tensor:
    embeddings = embeddings.float()
    if normalize:
        embeddings = F.normalize(embeddings, dim=1)
    embeddings = embeddings.cpu()
    if not embeddings.isfinite().all():
        raise ValueError("`model` should return finite embeddings. Found NaN or infinity.")
    return embeddings
