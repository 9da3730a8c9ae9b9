"""Every loss of pytorch-metric-learning in every space: it compares as it should, or says why not.

``tests/loss_table.py`` writes the page that this file holds true.
"""

from __future__ import annotations

import copy
from itertools import product

import loss_table
import pytest
import torch
from loss_table import OURS, PML, SPACES, WITHOUT_LABELS, build
from networks import TinyEmbedder
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.losses.spaces import UNFIT, takes_pairs, takes_references, why_not

pytestmark = pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # HistogramLoss

ALIGNMENT = 0.5
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
NAMES = [*PML, *loss_table.OPTIONS, *OURS]
WITH_LABELS = set(PML) - set(WITHOUT_LABELS)
CASES = list(product(NAMES, SPACES))
FITTING = [(name, space) for name, space in CASES if why_not(build(name), space) is None]
REFUSED = [case for case in CASES if case not in FITTING]


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(TinyEmbedder())


def embeddings(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 4, generator=generator).requires_grad_()


def frozen(loss: nn.Module) -> nn.Module:
    return copy.deepcopy(loss).requires_grad_(False)


def expected(plain: nn.Module, space: str, batch: Tensor, labels: Tensor, dense: Tensor) -> Tensor:
    """What PML gives for a subnetwork, asked by hand."""
    if space == "both":
        return expected(plain, "logit", batch, labels, dense) + expected(
            plain, "embedding", batch, labels, dense
        )
    if space == "logit":
        return plain(batch, labels)
    other = None if labels is None else labels.clone()
    if takes_references(plain):
        return plain(batch, labels, ref_emb=dense, ref_labels=other)
    across = [[], [], [], []]  # pairs of a subnetwork's image and a dense one, behind the former
    for i, j in product(range(6), range(6)):
        anchors, others = (0, 1) if labels[i] == labels[j] else (2, 3)
        across[anchors].append(i)
        across[others].append(6 + j)
    pairs = tuple(map(torch.tensor, across)) if takes_pairs(plain) else None
    return plain(torch.cat([batch, dense]), torch.cat([labels, labels]), pairs)


def test_the_page_is_what_the_losses_do() -> None:
    """If not: .venv/bin/python tests/loss_table.py"""
    assert loss_table.PAGE.read_text(encoding="utf-8") == loss_table.page()


def test_no_loss_of_pml_is_missing() -> None:
    wrappers = {"CrossBatchMemory", "MultipleLosses", "SelfSupervisedLoss"}  # have their own tests
    bases = {"BaseLossWrapper", "BaseMetricLossFunction", "GenericPairLoss"}
    mixins = {"EmbeddingRegularizerMixin", "WeightRegularizerMixin"}
    classes = {name for name, kind in vars(losses).items() if isinstance(kind, type)}
    assert classes == {*PML, *wrappers, *bases, *mixins}
    assert len(PML) == 33 + len(WITHOUT_LABELS)


@pytest.mark.parametrize("name", WITHOUT_LABELS)
def test_those_without_labels_take_none(name: str) -> None:
    with pytest.raises(ValueError, match="labels are ref_labels are not supported"):
        build(name)(embeddings(0), LABELS)


@pytest.mark.parametrize(("name", "space"), FITTING)
def test_a_loss_compares_a_subnetwork_with_the_dense_network(
    model: nn.Module, name: str, space: str
) -> None:
    """For two steps, since some losses have a state."""
    plain = build(name)
    labels = None if name in WITHOUT_LABELS else LABELS
    compatible = prunnet.CompatibleLoss(copy.deepcopy(plain), model, space, ALIGNMENT, contrast=0)
    weights = list(compatible.parameters())
    for step in range(2):
        dense, twin = embeddings(step), embeddings(step)
        torch.manual_seed(step)
        found = compatible(dense, labels)
        found.backward()
        torch.manual_seed(step)
        plain(twin, labels).backward()
        torch.testing.assert_close(dense.grad, twin.grad)
        assert all(w.grad is not None for w in weights if w.requires_grad and name != "MarginLoss")
        for parameter in weights:
            parameter.grad = None
        for seed in (10, 20):
            masked, twin = embeddings(seed), embeddings(seed)
            torch.manual_seed(step)
            with prunnet.capacity(model, 0.4):
                found = compatible(masked, labels)
            torch.manual_seed(step)
            should = expected(frozen(plain), space, twin, labels, dense.detach())
            cosines = nn.functional.cosine_similarity(twin, dense.detach())
            should = should + ALIGNMENT * (1 - cosines).mean()
            torch.testing.assert_close(found, should)
            dense.grad = None
            found.backward()
            should.backward()
            torch.testing.assert_close(masked.grad, twin.grad)
            assert masked.grad.abs().sum() > 0
            assert dense.grad is None
            assert all(parameter.grad is None for parameter in weights)


@pytest.mark.parametrize(("name", "space"), REFUSED)
def test_a_loss_that_does_not_fit_says_why(model: nn.Module, name: str, space: str) -> None:
    loss = build(name)
    with pytest.raises(ValueError) as caught:
        prunnet.CompatibleLoss(loss, model, space)
    assert str(caught.value) == (
        f"`loss` should fit space={space!r}. Found {type(loss).__name__}: {why_not(loss, space)}."
    )


@pytest.mark.parametrize("name", [n for n, s in FITTING if s == "embedding" and n in WITH_LABELS])
def test_the_same_image_at_another_capacity_is_a_positive(model: nn.Module, name: str) -> None:
    """Without it, an image that is alone of its class would have no positive at all.

    PML leaves pairs (i, i) out wherever both labels are one tensor.
    """
    labels = torch.arange(6)
    compatible = prunnet.CompatibleLoss(build(name), model, "embedding", alignment=0)
    dense, masked = embeddings(1), embeddings(2)
    compatible(dense, labels)
    with prunnet.capacity(model, 0.4):
        compatible(masked, labels).backward()
    assert masked.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PML)
def test_the_probe_agrees_with_what_the_loss_does(name: str) -> None:
    """It looks at a small batch of two dimensions; here is one that fits the loss."""
    loss, labels = build(name), None if name in WITHOUT_LABELS else LABELS
    other = None if labels is None else labels.clone()
    found = []
    for seed in (1, 2):
        torch.manual_seed(0)
        try:
            found.append(loss(embeddings(0), labels, ref_emb=embeddings(seed), ref_labels=other))
        except (ValueError, RuntimeError) as error:
            assert "ref_emb is not supported" in str(error) or name == "DynamicSoftMarginLoss"
            break
    matters = len(found) == 2 and not torch.equal(*found)
    assert takes_references(loss) == (matters or name == "DynamicSoftMarginLoss")


@pytest.mark.parametrize("name", [*NAMES, "of random triplets"])
def test_asking_where_a_loss_works_changes_nothing(name: str) -> None:
    """Neither the loss nor the random numbers that a training draws next."""
    of_triplets = name == "of random triplets"
    loss = losses.TripletMarginLoss(triplets_per_anchor=1) if of_triplets else build(name)
    state = {key: copy.deepcopy(value) for key, value in vars(loss).items()}
    random = torch.get_rng_state()
    for space in SPACES:
        why_not(loss, space)
    takes_pairs(loss)
    assert torch.equal(torch.get_rng_state(), random)
    assert state.keys() == vars(loss).keys()
    for key, value in vars(loss).items():
        if isinstance(value, Tensor):
            assert torch.equal(state[key], value)


def test_what_is_said_of_the_unfit_losses_is_true() -> None:
    """When PML mends one of them, its line in ``UNFIT`` can go."""
    assert set(UNFIT) == {
        losses.DynamicSoftMarginLoss,
        losses.InstanceLoss,
        losses.SmoothAPLoss,
    }
    dynamic = losses.DynamicSoftMarginLoss()
    dynamic(embeddings(0) / 10, LABELS).backward()
    with pytest.raises(RuntimeError):
        dynamic(embeddings(0) / 10, LABELS).backward()

    batch = embeddings(0)
    order = torch.tensor([2, 3, 0, 1, 4, 5])
    instance, smooth = losses.InstanceLoss(), losses.SmoothAPLoss()
    assert not torch.allclose(instance(batch, LABELS), instance(batch[order], LABELS[order]))
    assert not torch.allclose(smooth(batch, LABELS), smooth(batch[order], LABELS))
    square = torch.randn(9, 4), torch.arange(3).repeat_interleave(3)
    turned = torch.tensor([3, 4, 5, 0, 1, 2, 6, 7, 8])
    torch.testing.assert_close(smooth(*square), smooth(square[0][turned], square[1]))


def test_a_loss_across_pairs_equals_a_loop(model: nn.Module) -> None:
    """For one that ignores references: every term, written out."""
    plain = losses.ThresholdConsistentMarginLoss()
    compatible = prunnet.CompatibleLoss(plain, model, "embedding", alignment=0)
    dense, masked = embeddings(1), embeddings(2)
    compatible(dense, LABELS)
    with prunnet.capacity(model, 0.4):
        found = compatible(masked, LABELS)
    positive, negative = [], []
    for i, j in product(range(6), range(6)):
        cosine = (masked[i] @ dense[j] / (masked[i].norm() * dense[j].norm())).item()
        if LABELS[i] == LABELS[j] and cosine <= plain.margin_plus:
            positive.append(plain.margin_plus - cosine)
        if LABELS[i] != LABELS[j] and cosine >= plain.margin_minus:
            negative.append(cosine - plain.margin_minus)
    should = sum(positive) / len(positive) + sum(negative) / len(negative)
    assert found.item() == pytest.approx(should, rel=1e-5)


def test_a_miners_pairs_reach_a_loss_that_takes_no_references(model: nn.Module) -> None:
    plain = losses.ThresholdConsistentMarginLoss()
    compatible = prunnet.CompatibleLoss(plain, model, "embedding", alignment=0)
    dense, masked = embeddings(1), embeddings(2)
    mined = tuple(part[:2] for part in lmu.get_all_pairs_indices(LABELS))
    compatible(dense, LABELS)
    with prunnet.capacity(model, 0.4):
        found = compatible(masked, LABELS, mined)
    behind = (mined[0], mined[1] + 6, mined[2], mined[3] + 6)
    both = torch.cat([masked, dense])
    torch.testing.assert_close(found, plain(both, LABELS.repeat(2), behind))
