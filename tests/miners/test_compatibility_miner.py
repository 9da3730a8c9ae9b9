"""``CompatibilityMiner``: what it finds, against loops, and whom it hands that to."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import distances, losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from pytorch_metric_learning.utils.distributed import DistributedMinerWrapper
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.losses import AsymmetricTripletLoss, CompatibleLoss
from prunnet_pml.miners import CompatibilityMiner

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
OF_PAIRS = [
    losses.AngularLoss,
    losses.CircleLoss,
    losses.ContrastiveLoss,
    losses.GeneralizedLiftedStructureLoss,
    losses.IntraPairVarianceLoss,
    losses.LiftedStructureLoss,
    losses.MarginLoss,
    losses.MultiSimilarityLoss,
    losses.NCALoss,
    losses.NTXentLoss,
    losses.SignalToNoiseRatioContrastiveLoss,
    losses.SupConLoss,
    losses.ThresholdConsistentMarginLoss,
    losses.TripletMarginLoss,
    losses.TupletMarginLoss,
    AsymmetricTripletLoss,
]
DISTANCES = {
    "euclidean": distances.LpDistance,
    "squared, as they are": lambda: distances.LpDistance(normalize_embeddings=False, power=2),
    "cosine": distances.CosineSimilarity,
    "dot product": distances.DotProductSimilarity,
    "signal to noise": distances.SNRDistance,
}


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(TinyEmbedder())


def embeddings(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 4, generator=generator)


def near(dense: Tensor, seed: int = 9) -> Tensor:
    """A subnetwork's, about as a trained one's: some distances better, some worse."""
    generator = torch.Generator().manual_seed(seed)
    return dense + 0.3 * torch.randn(dense.shape, generator=generator)


def farther(distance: distances.BaseDistance, queries: Tensor, dense: Tensor, refs: Tensor) -> dict:
    """For every query and reference, how much farther than from the dense network; one by one."""
    found = {}
    for i, j in product(range(len(queries)), range(len(refs))):
        from_query = distance(queries[i : i + 1], refs[j : j + 1]).item()
        from_dense = distance(dense[i : i + 1], refs[j : j + 1]).item()
        found[i, j] = from_query - from_dense
        if distance.is_inverted:
            found[i, j] *= -1
    return found


def as_sets(mined: tuple[Tensor, ...]) -> list[set[tuple[int, ...]]]:
    """Positive and negative pairs, or triplets; none may be there twice."""
    parts = [mined] if len(mined) == 3 else [mined[:2], mined[2:]]
    lists = [list(zip(*(part.tolist() for part in group), strict=True)) for group in parts]
    assert all(len(set(found)) == len(found) for found in lists)
    return [set(found) for found in lists]


@pytest.mark.parametrize("margin", [0.0, 0.03, -0.03])
@pytest.mark.parametrize("name", DISTANCES)
def test_pairs_equal_a_loop(name: str, margin: float) -> None:
    distance, dense = DISTANCES[name](), embeddings(1)
    queries = near(dense)
    gaps = farther(distance, queries, dense, dense)
    positive = {
        (i, j)
        for (i, j), gap in gaps.items()
        if i != j and LABELS[i] == LABELS[j] and gap > -margin
    }
    negative = {(i, j) for (i, j), gap in gaps.items() if LABELS[i] != LABELS[j] and gap < margin}
    miner = CompatibilityMiner(distance=distance, margin=margin)
    mined = miner(queries, LABELS, dense, LABELS)
    assert as_sets(mined) == [positive, negative]
    every = lmu.get_all_pairs_indices(LABELS)
    assert 0 < len(positive) < len(every[0])
    assert 0 < len(negative) < len(every[2])


@pytest.mark.parametrize("margin", [0.0, 0.03, -0.03])
@pytest.mark.parametrize("name", DISTANCES)
def test_triplets_equal_a_loop(name: str, margin: float) -> None:
    distance, dense = DISTANCES[name](), embeddings(1)
    queries = near(dense)
    gaps = farther(distance, queries, dense, dense)
    triplets = {
        (a, p, n)
        for a, p, n in product(range(8), repeat=3)
        if a != p
        and LABELS[a] == LABELS[p] != LABELS[n]
        and (gaps[a, p] > -margin or gaps[a, n] < margin)
    }
    miner = CompatibilityMiner(kind="triplets", distance=distance, margin=margin)
    assert as_sets(miner(queries, LABELS, dense, LABELS)) == [triplets]
    assert 0 < len(triplets) < len(lmu.get_all_triplets_indices(LABELS)[0])


@pytest.mark.parametrize("kind", ["pairs", "triplets"])
def test_the_dense_network_itself_breaks_nothing(kind: str) -> None:
    dense = embeddings(1)
    mined = CompatibilityMiner(kind=kind)(dense.clone(), LABELS, dense, LABELS)
    assert all(len(indices) == 0 and indices.dtype == torch.long for indices in mined)


@pytest.mark.parametrize("copied", [False, True])
def test_an_image_is_no_positive_of_its_own(copied: bool) -> None:
    """Whether or not the labels are one tensor, as on two devices they can't be."""
    dense = embeddings(1)
    labels = torch.arange(8)
    mined = CompatibilityMiner()(near(dense), labels, dense, labels.clone() if copied else labels)
    assert len(mined[0]) == 0
    assert len(mined[2]) > 0


@pytest.mark.parametrize("kind", ["pairs", "triplets"])
@pytest.mark.parametrize("loss", OF_PAIRS, ids=lambda loss: loss.__name__)
def test_any_loss_takes_what_is_mined_even_nothing(
    model: nn.Module, loss: type[nn.Module], kind: str
) -> None:
    """In the loop of the README, with one line more."""
    miner = CompatibilityMiner(model, kind)
    loss_func = CompatibleLoss(loss(), model, "embedding", alignment=0)
    dense = embeddings(1)
    for capacity, batch in ((1.0, dense), (0.8, near(dense)), (0.4, dense)):
        batch = batch.clone().requires_grad_()
        with prunnet.capacity(model, capacity):
            mined = miner(batch, LABELS)
            found = loss_func(batch, LABELS, mined)
        found.backward()
        assert batch.grad.isfinite().all()
        if capacity == 0.4 and loss is not losses.NCALoss:  # for NCA none is all, PML's way
            assert found == 0
        elif capacity == 0.8:
            other = {"ref_emb": dense, "ref_labels": LABELS.clone()}
            if loss is losses.ThresholdConsistentMarginLoss:
                continue  # sees one batch: tests/losses/test_loss_table.py
            torch.testing.assert_close(found, loss()(batch, LABELS, mined, **other))


@pytest.mark.parametrize("loss", [losses.ArcFaceLoss, losses.ProxyAnchorLoss])
def test_class_weights_are_met_by_what_is_mined(model: nn.Module, loss: type[nn.Module]) -> None:
    """Images in many violations weigh more; if there are none, all weigh the same."""
    miner = CompatibilityMiner(model)
    loss_func = CompatibleLoss(plain := loss(3, 4), model, alignment=0, contrast=0)
    dense = embeddings(1)
    loss_func(dense, LABELS, miner(dense, LABELS))
    with prunnet.capacity(model, 0.4):
        found = loss_func(near(dense), LABELS, miner(near(dense), LABELS))
        same = loss_func(dense, LABELS, miner(dense, LABELS))
    mined = CompatibilityMiner()(near(dense), LABELS, dense, LABELS)
    assert torch.equal(found, plain(near(dense), LABELS, mined))
    assert torch.equal(same, plain(dense, LABELS))


@pytest.mark.parametrize("kind", ["pairs", "triplets"])
def test_with_a_model_it_remembers_the_dense_pass(model: nn.Module, kind: str) -> None:
    miner, plain = CompatibilityMiner(model, kind), CompatibilityMiner(kind=kind)
    everything = lmu.get_all_pairs_indices if kind == "pairs" else lmu.get_all_triplets_indices
    for seed in (1, 2):
        dense = embeddings(seed).requires_grad_()
        assert as_sets(miner(dense, LABELS)) == as_sets(everything(LABELS))
        for capacity in (0.8, 0.4):
            queries = near(dense.detach(), seed=seed + 10)
            with prunnet.capacity(model, capacity):
                mined = miner(queries, LABELS)
            assert as_sets(mined) == as_sets(plain(queries, LABELS, dense, LABELS))


def test_a_training_step_mines_across_capacities() -> None:
    """The whole loop, on a network: gradients at every capacity."""
    model = prunnet.make_prunable(TinyEmbedder())
    miner = CompatibilityMiner(model)
    loss_func = CompatibleLoss(losses.ContrastiveLoss(), model, "embedding", alignment=0)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer = prunnet.ConflictAwareOptimizer(sgd, model)
    images = torch.randn(8, 1, 8, 8)
    for _ in range(2):
        counts = []
        for _ in optimizer.capacities():
            batch = model(images)
            mined = miner(batch, LABELS)
            counts.append(sum(map(len, mined)))
            loss_func(batch, LABELS, mined).backward()
        optimizer.step()
        assert all(0 < count < counts[0] for count in counts[1:])


def test_references_in_a_memory(model: nn.Module) -> None:
    """Of any number: every one is compared, from the subnetwork and from the dense network."""
    miner, distance = CompatibilityMiner(model), distances.LpDistance()
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), 4, memory_size=32, miner=miner)
    loss_func = CompatibleLoss(memory, model, "embedding", alignment=0)
    for seed in (1, 2):
        dense = embeddings(seed)
        loss_func(dense, LABELS)
        queries = near(dense).requires_grad_()
        with prunnet.capacity(model, 0.4):
            found = loss_func(queries, LABELS)
    refs, labels = torch.cat([embeddings(1), embeddings(2)]), LABELS.repeat(2)
    gaps = farther(distance, queries.detach(), dense, refs)
    parts = [[], [], [], []]
    for (i, j), gap in gaps.items():
        same = LABELS[i] == labels[j]
        if gap > 0 if same else gap < 0:
            parts[0 if same else 2].append(i)
            parts[1 if same else 3].append(j)
    mined = tuple(map(torch.tensor, parts))
    assert len(mined[0]) < len(lmu.get_all_pairs_indices(LABELS, labels)[0])
    torch.testing.assert_close(found, memory.loss(queries, LABELS, mined, refs, labels))


def test_half_precision_compares_in_full(model: nn.Module) -> None:
    settings = {"distance": distances.CosineSimilarity()}
    miner, dense = CompatibilityMiner(model, **settings), embeddings(1).bfloat16()
    queries = (dense.float() + 0.01 * embeddings(2)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        miner(dense, LABELS)
        with prunnet.capacity(model, 0.4):
            mined = miner(queries, LABELS)
    exact = CompatibilityMiner(**settings)(queries.float(), LABELS, dense.float(), LABELS)
    assert as_sets(mined) == as_sets(exact)


def test_stats_are_shares_of_pairs() -> None:
    dense = embeddings(1)
    miner = CompatibilityMiner(collect_stats=True)
    a1, _, a2, _ = miner(near(dense), LABELS, dense, LABELS)
    positives, _, negatives, _ = lmu.get_all_pairs_indices(LABELS)
    assert miner.pos_violations == pytest.approx(len(a1) / len(positives))
    assert miner.neg_violations == pytest.approx(len(a2) / len(negatives))
    assert (miner.num_pos_pairs, miner.num_neg_pairs) == (len(a1), len(a2))
    miner(near(dense), torch.zeros(8), dense, torch.zeros(8))
    assert miner.neg_violations == 0


def test_pml_can_distribute_it(tmp_path: object) -> None:
    dense = embeddings(1)
    miner = DistributedMinerWrapper(CompatibilityMiner())
    meeting = f"file://{tmp_path}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    try:
        mined = miner(near(dense), LABELS, dense, LABELS)
    finally:
        torch.distributed.destroy_process_group()
    assert as_sets(mined) == as_sets(CompatibilityMiner()(near(dense), LABELS, dense, LABELS))


def test_it_holds_none_of_the_models_parameters(model: nn.Module) -> None:
    miner = CompatibilityMiner(model)
    assert list(miner.parameters()) == []
    assert miner.state_dict() == {}


@pytest.mark.parametrize(("rows", "found"), [(None, "none"), (5, "5 rows")])
def test_without_a_model_it_needs_the_same_images(rows: int | None, found: str) -> None:
    refs = () if rows is None else (embeddings(2)[:rows], LABELS[:rows])
    message = rf"`ref_emb` should be .* of the same 8 images, or `model` be given\. Found {found}\."
    with pytest.raises(ValueError, match=message):
        CompatibilityMiner()(embeddings(1), LABELS, *refs)


def test_a_subnetwork_before_the_dense_network_is_refused(model: nn.Module) -> None:
    with (
        prunnet.capacity(model, 0.4),
        pytest.raises(RuntimeError, match="dense network should embed a batch before"),
    ):
        CompatibilityMiner(model)(embeddings(1), LABELS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "quadruplets"}, "`kind` should be 'pairs' or 'triplets'. Found 'quadruplets'."),
        ({"margin": float("nan")}, "`margin` should be a number. Found nan."),
        ({"margin": "wide"}, "`margin` should be a number. Found 'wide'."),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        CompatibilityMiner(**arguments)
    assert str(caught.value) == message


def test_a_plain_network_is_refused() -> None:
    with pytest.raises(ValueError, match="`model` should be a prunable network"):
        CompatibilityMiner(TinyEmbedder())
