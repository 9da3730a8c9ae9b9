"""PML's wrappers of losses, inside of a ``CompatibleLoss`` or around several."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import loss_replicas
import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.losses import CompatibleLoss

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
CAPACITIES = (0.8, 0.6, 0.4, 0.2)


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(TinyEmbedder())


def embeddings(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 4, generator=generator).requires_grad_()


def step(
    model: nn.Module, loss_func: nn.Module, seed: int, **kwargs: object
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """The passes of a training step: capacity, embeddings, loss."""
    for index, capacity in enumerate((1.0, *CAPACITIES)):
        batch = embeddings(10 * seed + index)
        with prunnet.capacity(model, capacity):
            yield capacity, batch, loss_func(batch, LABELS, **kwargs)


def test_a_memory_holds_every_batch_once_and_dense(model: nn.Module) -> None:
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), 4, memory_size=24)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0)
    for seed in range(3):
        for _, _, loss in step(model, loss_func, seed):
            loss.backward()
        assert memory.queue_idx == 6 * (seed + 1)
    dense = torch.cat([embeddings(10 * seed) for seed in range(3)])
    assert torch.equal(memory.embedding_memory[:18], dense)
    assert torch.equal(memory.label_memory[:18], LABELS.repeat(3))


@pytest.mark.parametrize("steps", [1, 2, 6])  # a part of the memory, more, all of it around
def test_a_subnetwork_is_compared_with_all_that_is_in_the_memory(
    model: nn.Module, steps: int
) -> None:
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(neg_margin=1.5), 4, memory_size=24)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0)
    plain = losses.CrossBatchMemory(losses.ContrastiveLoss(neg_margin=1.5), 4, memory_size=24)
    for seed in range(steps):
        passes = list(step(model, loss_func, seed))
        should = plain(embeddings(10 * seed), LABELS)
        assert torch.equal(passes[0][2], should)
    recent = range(max(0, steps - 4), steps)
    dense = torch.cat([embeddings(10 * seed) for seed in recent])
    labels = LABELS.repeat(len(recent))
    for _, batch, loss in passes[1:]:
        positive, negative = [], []
        for i, j in product(range(6), range(len(dense))):
            one, other = batch[i] / batch[i].norm(), dense[j] / dense[j].norm()
            distance = (one - other).norm().item()
            if LABELS[i] == labels[j]:
                positive.append(distance)
            elif distance < 1.5:
                negative.append(1.5 - distance)
        should = sum(positive) / len(positive) + sum(negative) / len(negative)
        assert loss.item() == pytest.approx(should, rel=1e-4)


def test_a_memorys_miner_mines_across_capacities(model: nn.Module) -> None:
    inner, miner = losses.TripletMarginLoss(), miners.BatchHardMiner()
    memory = losses.CrossBatchMemory(inner, 4, memory_size=24, miner=miner)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0)
    for seed in range(2):
        passes = list(step(model, loss_func, seed))
    dense, labels = torch.cat([embeddings(0), embeddings(10)]), LABELS.repeat(2)
    for _, batch, loss in passes[1:]:
        mined = miner(batch, LABELS, dense, labels)
        assert torch.equal(loss, inner(batch, LABELS, mined, dense, labels))


def test_a_miners_pairs_mean_this_batch_wherever_it_is_in_the_memory(model: nn.Module) -> None:
    inner = losses.ContrastiveLoss()
    memory = losses.CrossBatchMemory(inner, 4, memory_size=24)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0)
    mined = miners.PairMarginMiner(0.5, 1.2)(embeddings(3), LABELS)
    for seed in range(2):
        passes = list(step(model, loss_func, seed, indices_tuple=mined))
    dense, labels = torch.cat([embeddings(0), embeddings(10)]), LABELS.repeat(2)
    a1, p, a2, n = lmu.get_all_pairs_indices(LABELS, labels)
    b1, q, b2, m = mined
    wanted = (
        torch.cat([a1, b1]),
        torch.cat([p, q + 6]),
        torch.cat([a2, b2]),
        torch.cat([n, m + 6]),
    )
    for _, batch, loss in passes[1:]:
        assert torch.equal(loss, inner(batch, LABELS, wanted, dense, labels))


def test_a_memory_that_part_of_a_batch_enters(model: nn.Module) -> None:
    """Only the other part is compared, whatever the capacity."""
    inner = losses.ContrastiveLoss()
    memory = losses.CrossBatchMemory(inner, 4, memory_size=24)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0)
    enters = torch.tensor([True, False] * 3)
    passes = list(step(model, loss_func, 0, enqueue_mask=enters))
    assert memory.queue_idx == 3
    dense = embeddings(0)[enters]
    for _, batch, loss in passes[1:]:
        should = inner(batch[~enters], LABELS[~enters], ref_emb=dense, ref_labels=LABELS[enters])
        torch.testing.assert_close(loss, should)


def test_subnetworks_leave_the_thresholds_of_a_memorys_loss(model: nn.Module) -> None:
    memory = losses.CrossBatchMemory(losses.MarginLoss(learn_beta=True), 4, memory_size=24)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0.5)
    [beta] = loss_func.parameters()
    for capacity, batch, loss in step(model, loss_func, 0):
        beta.grad = None
        loss.backward()
        assert batch.grad.abs().sum() > 0
        assert (beta.grad is not None) == (capacity == 1)


@pytest.mark.parametrize("space", ["logit", "both"])
def test_a_memory_never_fills_with_subnetworks(model: nn.Module, space: str) -> None:
    memory = losses.CrossBatchMemory(losses.MarginLoss(learn_beta=True), 4)
    with pytest.raises(ValueError, match=r"CrossBatchMemory: its memory would fill with subnet"):
        CompatibleLoss(memory, model, space)
    several = losses.MultipleLosses([losses.ArcFaceLoss(3, 4), memory])
    with pytest.raises(ValueError, match=r"MultipleLosses: its memory would fill with subnet"):
        CompatibleLoss(several, model, space)


def test_multiple_losses_around_compatible_ones(model: nn.Module) -> None:
    """Each with its space, miner and weight."""
    classes, pairs, miner = (
        losses.ArcFaceLoss(3, 4),
        losses.ContrastiveLoss(),
        miners.BatchHardMiner(),
    )
    loss_func = losses.MultipleLosses(
        {
            "logit": CompatibleLoss(classes, model, alignment=0.5, contrast=0),
            "embedding": CompatibleLoss(pairs, model, "embedding", alignment=0),
        },
        miners={"embedding": miner},
        weights={"logit": 2.0, "embedding": 0.1},
    )
    (_, dense, first), *others = step(model, loss_func, 0)
    should = 2 * classes(dense, LABELS) + 0.1 * pairs(dense, LABELS, miner(dense, LABELS))
    torch.testing.assert_close(first, should)
    for _, batch, loss in others:
        cosines = nn.functional.cosine_similarity(batch, dense)
        logit = classes(batch, LABELS) + 0.5 * (1 - cosines).mean()
        across = pairs(batch, LABELS, miner(batch, LABELS), dense, LABELS)
        torch.testing.assert_close(loss, 2 * logit + 0.1 * across)


def test_multiple_losses_with_class_weights_inside(model: nn.Module) -> None:
    inside = losses.MultipleLosses(
        [losses.ArcFaceLoss(3, 4), losses.ProxyAnchorLoss(3, 4)], weights=[1, 0.5]
    )
    loss_func = CompatibleLoss(inside, model, alignment=0, contrast=0)
    twin = copy.deepcopy(inside)
    for capacity, batch, loss in step(model, loss_func, 0):
        assert torch.equal(loss, twin(batch, LABELS))
        found = torch.autograd.grad(loss, list(inside.parameters()), allow_unused=True)
        assert all((gradient is None) == (capacity < 1) for gradient in found)


def test_multiple_losses_inside_have_no_references_to_pass_on(model: nn.Module) -> None:
    inside = losses.MultipleLosses([losses.ContrastiveLoss()])
    with pytest.raises(ValueError, match=r"MultipleLosses: put a CompatibleLoss around each loss"):
        CompatibleLoss(inside, model, "embedding")


def test_several_losses_on_one_model_keep_out_of_each_others_way(model: nn.Module) -> None:
    whole = CompatibleLoss(losses.ContrastiveLoss(), model, "embedding", alignment=0)
    half = CompatibleLoss(losses.ContrastiveLoss(), model, "embedding", alignment=0)
    whole(embeddings(0), LABELS)
    half(embeddings(1)[:3], LABELS[:3])
    with prunnet.capacity(model, 0.4):
        found, halved = whole(embeddings(2), LABELS), half(embeddings(2)[:3], LABELS[:3])
    plain = losses.ContrastiveLoss()
    refs = {"ref_emb": embeddings(0), "ref_labels": LABELS.clone()}
    assert torch.equal(found, plain(embeddings(2), LABELS, **refs))
    refs = {"ref_emb": embeddings(1)[:3], "ref_labels": LABELS[:3]}
    assert torch.equal(halved, plain(embeddings(2)[:3], LABELS[:3], **refs))


@pytest.mark.parametrize("inner", [losses.NTXentLoss, losses.TripletMarginLoss])
def test_two_views_of_every_image(model: nn.Module, inner: type[nn.Module]) -> None:
    plain = losses.SelfSupervisedLoss(inner())
    loss_func = CompatibleLoss(plain, model, "embedding", alignment=0.5)
    dense = embeddings(0), embeddings(1)
    assert torch.equal(loss_func(*dense), plain(*dense))
    views = embeddings(2), embeddings(3)
    with prunnet.capacity(model, 0.4):
        found = loss_func(*views)
    batch, references, labels = torch.cat(views), torch.cat(dense), torch.arange(6).repeat(2)
    should = inner()(batch, labels, ref_emb=references, ref_labels=labels.clone())
    should = should + 0.5 * (1 - nn.functional.cosine_similarity(batch, references)).mean()
    torch.testing.assert_close(found, should)
    found.backward()
    assert all(view.grad.abs().sum() > 0 for view in views)
    assert all(view.grad is None for view in dense)


def test_views_that_do_not_match_are_refused(model: nn.Module) -> None:
    loss_func = CompatibleLoss(losses.SelfSupervisedLoss(losses.NTXentLoss()), model, "embedding")
    for other, found in ((embeddings(1)[:4], r"\(4, 4\)"), (None, "None")):
        with pytest.raises(ValueError, match=rf"two views .* Found \(6, 4\) and {found}"):
            loss_func(embeddings(0), other)


def test_a_one_sided_self_supervised_loss_is_refused(model: nn.Module) -> None:
    loss = losses.SelfSupervisedLoss(losses.NTXentLoss(), symmetric=False)
    with pytest.raises(ValueError, match=r"`loss` should be symmetric\. Found symmetric=False"):
        CompatibleLoss(loss, model, "embedding")


def test_pml_takes_no_compatible_loss_inside_its_wrappers(model: nn.Module) -> None:
    """So the page says: the other way round."""
    loss_func = CompatibleLoss(losses.ContrastiveLoss(), model, "embedding")
    with pytest.raises(TypeError):
        DistributedLossWrapper(loss_func)
    with pytest.raises(Exception, match="not supported for CompatibleLoss"):
        losses.CrossBatchMemory(loss_func, 4)
    with pytest.raises(Exception, match="not supported for CompatibleLoss"):
        losses.SelfSupervisedLoss(loss_func)


@pytest.mark.parametrize("name", loss_replicas.LOSSES)
def test_one_process_alone_in_a_group(model: nn.Module, name: str, tmp_path: Path) -> None:
    space = loss_replicas.space_of(name)
    plain = CompatibleLoss(loss_replicas.LOSSES[name](), model, space, alignment=0.5)
    wrapped = CompatibleLoss(
        DistributedLossWrapper(copy.deepcopy(plain.loss)), model, space, alignment=0.5
    )
    meeting = f"file://{tmp_path}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    try:
        for seed in range(2):
            passes = zip(step(model, plain, seed), step(model, wrapped, seed), strict=True)
            for (_, _, should), (_, _, found) in passes:
                assert torch.equal(found, should)
    finally:
        torch.distributed.destroy_process_group()


def test_processes_find_the_gradients_of_one_with_the_whole_batch(tmp_path: Path) -> None:
    """PML scales such that the mean over processes, which DDP takes, is the whole batch's."""
    torch.multiprocessing.spawn(loss_replicas.run, (str(tmp_path),), nprocs=loss_replicas.WORLD)
    replicas = [torch.load(tmp_path / f"{rank}.pt") for rank in range(loss_replicas.WORLD)]
    for name in loss_replicas.LOSSES:
        for key, should in loss_replicas.share(name, 0, 1).items():
            found = torch.cat([replica[name][key] for replica in replicas]) / loss_replicas.WORLD
            torch.testing.assert_close(found, should, rtol=1e-4, atol=1e-6)


def test_a_copy_compares_by_its_own_loss(model: nn.Module) -> None:
    """As trainers make one for the best model."""
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), 4, memory_size=24)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0)
    loss_func(embeddings(0), LABELS)
    twin = copy.deepcopy(loss_func)
    loss_func(embeddings(1), LABELS)
    with prunnet.capacity(twin._dense._model, 0.4):
        found = twin(embeddings(2), LABELS)
    refs = {"ref_emb": embeddings(0), "ref_labels": LABELS.clone()}
    torch.testing.assert_close(found, losses.ContrastiveLoss()(embeddings(2), LABELS, **refs))
