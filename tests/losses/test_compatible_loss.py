"""``CompatibleLoss``: what each pass computes, and what it moves."""

from __future__ import annotations

import copy
import math
from functools import partial

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.losses.contrast import TEMPERATURE, ImageAndClassLoss
from prunnet_pml.losses.spaces import Space

# Alignment and contrast have tests of their own.
CompatibleLoss = partial(prunnet.CompatibleLoss, alignment=0, contrast=0)
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
WITH_CLASS_WEIGHTS = {
    "arcface": lambda: losses.ArcFaceLoss(3, 4),
    "normalized softmax": lambda: losses.NormalizedSoftmaxLoss(3, 4),
    "proxy anchor": lambda: losses.ProxyAnchorLoss(3, 4),
    "soft triple": lambda: losses.SoftTripleLoss(3, 4),
    "sub-center arcface": lambda: losses.SubCenterArcFaceLoss(num_classes=3, embedding_size=4),
}
OF_PAIRS = {
    "contrastive": losses.ContrastiveLoss,
    "triplet": losses.TripletMarginLoss,
    "multi-similarity": losses.MultiSimilarityLoss,
    "nt-xent": losses.NTXentLoss,
    "supcon": losses.SupConLoss,
    "circle": losses.CircleLoss,
}


class Prototypes(nn.Module):
    """A loss of both kinds: class weights, and references where there are some."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: object = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        if ref_emb is None:
            return nn.functional.cross_entropy(embeddings @ self.weight.T, labels)
        return (embeddings - ref_emb).square().sum(1).mean() + self.weight.square().sum()


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(TinyEmbedder())


def embeddings(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 4, generator=generator).requires_grad_()


def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(loss, inputs, allow_unused=True)


@pytest.mark.parametrize("name", WITH_CLASS_WEIGHTS)
def test_the_dense_pass_is_the_loss_itself(model: nn.Module, name: str) -> None:
    plain = WITH_CLASS_WEIGHTS[name]()
    compatible = CompatibleLoss(copy.deepcopy(plain), model)
    one, other = embeddings(), embeddings()
    expected, found = plain(other, LABELS), compatible(one, LABELS)
    assert torch.equal(found, expected)
    [weight], [twin] = plain.parameters(), compatible.parameters()
    for a, b in zip(gradients(found, one, twin), gradients(expected, other, weight), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", WITH_CLASS_WEIGHTS)
def test_a_subnetwork_meets_class_weights_that_it_does_not_move(
    model: nn.Module, name: str
) -> None:
    plain = WITH_CLASS_WEIGHTS[name]()
    compatible = CompatibleLoss(copy.deepcopy(plain), model)
    one, other = embeddings(), embeddings()
    expected = plain(other, LABELS)
    [weight] = compatible.parameters()
    with prunnet.capacity(model, 0.4):
        found = compatible(one, LABELS)
    assert torch.equal(found, expected)
    of_embeddings, of_weight = gradients(found, one, weight)
    assert torch.equal(of_embeddings, gradients(expected, other)[0])
    assert of_weight is None
    assert [*compatible.parameters()] == [weight]
    assert weight.requires_grad


@pytest.mark.parametrize("name", OF_PAIRS)
def test_in_embedding_space_the_dense_embeddings_are_references(
    model: nn.Module, name: str
) -> None:
    plain = OF_PAIRS[name]()
    compatible = CompatibleLoss(OF_PAIRS[name](), model, space="embedding")
    dense, masked = embeddings(1), embeddings(2)
    assert torch.equal(compatible(dense, LABELS), plain(dense, LABELS))
    with prunnet.capacity(model, 0.4):
        found = compatible(masked, LABELS)
    expected = plain(masked, LABELS, ref_emb=dense.detach(), ref_labels=LABELS.clone())
    assert torch.equal(found, expected)
    assert not torch.equal(found, plain(masked, LABELS))
    of_masked, of_dense = gradients(found, masked, dense)
    assert of_masked.abs().sum() > 0
    assert of_dense is None


def test_both_is_the_sum(model: nn.Module) -> None:
    plain = Prototypes()
    compatible = CompatibleLoss(plain, model, space="both")
    dense, masked = embeddings(1), embeddings(2)
    assert torch.equal(compatible(dense, LABELS), plain(dense, LABELS))
    with prunnet.capacity(model, 0.4):
        found = compatible(masked, LABELS)
    expected = plain(masked, LABELS) + plain(masked, LABELS, ref_emb=dense.detach())
    torch.testing.assert_close(found, expected)


def test_both_spaces_with_a_loss_each(model: nn.Module) -> None:
    """What is in PML either has class weights or takes references: two losses, added up."""
    in_logits = CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    in_embeddings = CompatibleLoss(losses.ContrastiveLoss(), model, space="embedding")
    for capacity in (1.0, 0.4):
        with prunnet.capacity(model, capacity):
            total = in_logits(embeddings(), LABELS) + in_embeddings(embeddings(), LABELS)
            total.backward()


def test_miners_pass_through(model: nn.Module) -> None:
    mined = miners.BatchHardMiner()(embeddings(3), LABELS)
    few = losses.TripletMarginLoss()
    compatible = CompatibleLoss(losses.TripletMarginLoss(), model, space="embedding")
    dense, masked = embeddings(1), embeddings(2)
    assert torch.equal(compatible(dense, LABELS, mined), few(dense, LABELS, mined))
    with prunnet.capacity(model, 0.4):
        found = compatible(masked, LABELS, indices_tuple=mined)
    refs = {"ref_emb": dense.detach(), "ref_labels": LABELS.clone()}
    assert torch.equal(found, few(masked, LABELS, mined, **refs))
    assert not torch.equal(found, few(masked, LABELS, **refs))


def test_miners_weight_a_loss_with_class_weights(model: nn.Module) -> None:
    mined = miners.BatchHardMiner()(embeddings(3), LABELS)
    mined = tuple(indices[:2] for indices in mined)
    plain = losses.NormalizedSoftmaxLoss(3, 4)
    compatible = CompatibleLoss(plain, model)
    with prunnet.capacity(model, 0.4):
        found = compatible(embeddings(), LABELS, mined)
    assert torch.equal(found, plain(embeddings(), LABELS, mined))
    assert not torch.equal(found, plain(embeddings(), LABELS))


def test_reducers_and_distances_pass_through(model: nn.Module) -> None:
    settings = {"distance": distances.LpDistance(p=1), "reducer": reducers.DoNothingReducer()}
    compatible = CompatibleLoss(losses.ContrastiveLoss(**settings), model, space="embedding")
    plain = losses.ContrastiveLoss(**settings)
    dense = embeddings(1)
    for capacity, refs in (
        (1.0, {}),
        (0.4, {"ref_emb": dense.detach(), "ref_labels": LABELS.clone()}),
    ):
        with prunnet.capacity(model, capacity):
            found = compatible(dense, LABELS)
        for name, expected in plain(dense, LABELS, **refs).items():
            assert torch.equal(found[name]["losses"], expected["losses"])


def test_references_of_the_caller_go_before_the_dense_embeddings(model: nn.Module) -> None:
    """A memory of the trainer's own, say."""
    plain = losses.ContrastiveLoss()
    compatible = CompatibleLoss(plain, model, space="embedding")
    compatible(embeddings(1), LABELS)
    refs = {"ref_emb": embeddings(5).detach(), "ref_labels": LABELS.flip(0)}
    with prunnet.capacity(model, 0.4):
        found = compatible(embeddings(2), LABELS, **refs)
    assert torch.equal(found, plain(embeddings(2), LABELS, **refs))


def test_the_dense_embeddings_are_those_of_the_last_batch(model: nn.Module) -> None:
    plain = losses.ContrastiveLoss()
    compatible = CompatibleLoss(plain, model, space="embedding")
    for seed in (1, 2):
        compatible(dense := embeddings(seed), LABELS)
    for capacity in (0.8, 0.4):
        with prunnet.capacity(model, capacity):
            found = compatible(embeddings(3), LABELS)
        assert torch.equal(
            found, plain(embeddings(3), LABELS, ref_emb=dense.detach(), ref_labels=LABELS.clone())
        )


def of_capacity(view: Tensor, capacity: float) -> Tensor:
    """What a network of that capacity may embed where the dense one embeds ``view``."""
    return view if capacity == 1 else 0.9 * view + 0.1


def test_the_batches_of_a_pass_are_met_in_their_order(model: nn.Module) -> None:
    """Two views of the images, with the same labels: each is compared with its own."""
    compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    views = [embeddings(1), embeddings(2)]
    expected = {}
    for i, view in enumerate(views):  # one at a time, outside of a loop
        for capacity in (1.0, *prunnet.trained_capacities(model)):
            with prunnet.capacity(model, capacity):
                expected[capacity, i] = compatible(of_capacity(view, capacity), LABELS)
    sgd = torch.optim.SGD([*model.parameters(), *compatible.parameters()], lr=0.0)
    optimizer = prunnet.ConflictAwareOptimizer(sgd, model, subnetworks_per_step=None)
    for _ in range(2):
        for capacity in optimizer.capacities():
            for i, view in enumerate(views):
                found = compatible(of_capacity(view, capacity), LABELS)
                assert torch.equal(found, expected[capacity, i])
                with prunnet.capacity(model, 0.5):  # a look at something else is no pass
                    model(torch.randn(2, 1, 8, 8))
            model(torch.randn(2, 1, 8, 8)).sum().backward()
        optimizer.step()


def test_a_capacity_may_have_a_batch_that_the_dense_pass_had_not(model: nn.Module) -> None:
    """The dense network embeds it in the subnetwork's own pass, without a gradient."""
    compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    optimizer = prunnet.ConflictAwareOptimizer(
        torch.optim.SGD([*model.parameters(), *compatible.parameters()], lr=0.0),
        model,
        subnetworks_per_step=None,
    )
    images = torch.randn(len(optimizer.next_capacities), 6, 1, 8, 8)
    expected = []
    for i, batch in enumerate(images):  # each batch for all of them, and one loss of each
        values = []
        for _ in optimizer.capacities():
            values.append(compatible(model(batch), LABELS))
            values[-1].backward()
        optimizer.step()
        expected.append(values[i].detach())
    for i, capacity in enumerate(optimizer.capacities()):
        if capacity < 1:
            with torch.no_grad(), prunnet.capacity(model, 1.0):
                compatible(model(images[i]), LABELS)
        found = compatible(model(images[i]), LABELS)
        assert torch.equal(found, expected[i])
        found.backward()
    optimizer.step()


def test_views_of_a_capacitys_own_may_come_in_turn_or_one_after_the_other(
    model: nn.Module,
) -> None:
    compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    sgd = torch.optim.SGD([*model.parameters(), *compatible.parameters()], lr=0.0)
    optimizer = prunnet.ConflictAwareOptimizer(sgd, model, subnetworks_per_step=None)
    views = torch.randn(3, 6, 1, 8, 8)

    def see(view: Tensor) -> None:
        with torch.no_grad(), prunnet.capacity(model, 1.0):
            compatible(model(view), LABELS)

    found: dict[bool, list[Tensor]] = {True: [], False: []}
    for in_turn, values in found.items():
        for capacity in optimizer.capacities():
            if capacity < 1 and not in_turn:
                for view in views:
                    see(view)
            for view in views:
                if capacity < 1 and in_turn:
                    see(view)
                values.append(compatible(model(view), LABELS))
                values[-1].backward()
        optimizer.step()
    assert torch.equal(torch.stack(found[True]), torch.stack(found[False]))


def test_a_loss_of_the_second_of_two_networks_meets_the_same_batches(model: nn.Module) -> None:
    """A trunk and an embedder are trained as one, and the loss may be told of either."""
    both = nn.ModuleList([model, prunnet.make_prunable(nn.Sequential(nn.Linear(4, 4)))])
    views = [embeddings(1), embeddings(2)]
    found = []
    for part in both:
        torch.manual_seed(0)
        compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), part)
        sgd = torch.optim.SGD([*both.parameters(), *compatible.parameters()], lr=0.0)
        optimizer = prunnet.ConflictAwareOptimizer(sgd, both, subnetworks_per_step=None)
        values = []
        for capacity in optimizer.capacities():
            values += [compatible(of_capacity(view, capacity), LABELS) for view in views]
            both[1](torch.randn(2, 4)).sum().backward()
        found.append(torch.stack(values))
    assert torch.equal(*found)


@pytest.mark.parametrize("views", [1, 2])
def test_a_subnetwork_may_have_the_batch_of_the_loop_before(model: nn.Module, views: int) -> None:
    """It is compared with what the dense network made of it then, by its own tensor of labels."""
    compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    sgd = torch.optim.SGD([*model.parameters(), *compatible.parameters()], lr=0.0)
    optimizer = prunnet.ConflictAwareOptimizer(sgd, model, subnetworks_per_step=None)
    sizes = (6, 6, 4, 6)  # the last one of an epoch is smaller
    batches = [[embeddings(2 * i + v)[:size] for v in range(views)] for i, size in enumerate(sizes)]
    labels = [LABELS[:size].clone() for size in sizes]
    expected: dict[tuple[float, int], list[Tensor]] = {}
    for i, batch in enumerate(batches):  # a view at a time, outside of a loop
        for view in batch:
            for capacity in (1.0, *prunnet.trained_capacities(model)):
                with prunnet.capacity(model, capacity):
                    value = compatible(of_capacity(view, capacity), LABELS[: len(view)])
                    expected.setdefault((capacity, i), []).append(value)
    for i in range(len(batches)):
        for capacity in optimizer.capacities():
            of = i if capacity == 1 else max(i - 1, 0)
            found = [compatible(of_capacity(view, capacity), labels[of]) for view in batches[of]]
            assert torch.equal(torch.stack(found), torch.stack(expected[capacity, of]))
            model(torch.randn(2, 1, 8, 8)).sum().backward()
        optimizer.step()
        compatible(embeddings(99), LABELS)  # a look at something else between the steps


def angles_to_dense(model: nn.Module) -> nn.Module:
    """A loss whose subnetworks' pass gives one minus the cosine to what the dense network made."""
    return CompatibleLoss(Zero(), model, alignment=1)


class Zero(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, embeddings: Tensor, *_args: object) -> Tensor:
        return 0 * embeddings.sum() * self.weight.sum()


def test_a_view_of_the_loop_before_with_labels_of_its_own_is_the_one_that_is_met(
    model: nn.Module,
) -> None:
    compatible = angles_to_dense(model)
    optimizer = prunnet.ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model)
    labels = [LABELS.clone() for _ in range(3)]
    for loop in range(2):
        for capacity in optimizer.capacities():
            seen = (2,) if loop and capacity == 1 else (0, 1) if capacity == 1 else (1,)
            for i in seen:
                angle = compatible(embeddings(i), labels[i])
            if loop and capacity < 1:
                assert abs(angle.item()) < 1e-6
            model(torch.randn(2, 1, 8, 8)).sum().backward()
        optimizer.step()


def test_a_loop_that_is_begun_again_still_knows_the_batch_before(model: nn.Module) -> None:
    compatible = angles_to_dense(model)
    optimizer = prunnet.ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model)
    before, now = ((embeddings(i), LABELS.clone()) for i in range(2))

    def loop(fails: bool, first: bool = False) -> None:
        for capacity in optimizer.capacities():
            angle = compatible(*(now if capacity == 1 and not first else before))
            if capacity < 1:
                assert abs(angle.item()) < 1e-6
            elif fails:
                raise MemoryError
            model(torch.randn(2, 1, 8, 8)).sum().backward()
        optimizer.step()

    loop(fails=False, first=True)
    for _ in range(2):
        with pytest.raises(MemoryError):
            loop(fails=True)
    loop(fails=False)


def test_outside_of_a_loop_the_last_batch_is_met(model: nn.Module) -> None:
    compatible = angles_to_dense(model)
    optimizer = prunnet.ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model)
    labels = LABELS.clone()
    for _ in optimizer.capacities():
        compatible(embeddings(0), labels)
        model(torch.randn(2, 1, 8, 8)).sum().backward()
    compatible(embeddings(1), LABELS)
    with prunnet.capacity(model, 0.4):
        assert abs(compatible(embeddings(1), labels).item()) < 1e-6


def test_mined_pairs_of_the_batch_before_are_refused_beside_a_memory(model: nn.Module) -> None:
    """It holds rows of the batch of this loop where the miner's would lie."""
    memory = losses.CrossBatchMemory(losses.ContrastiveLoss(), 4, memory_size=12)
    compatible = prunnet.CompatibleLoss(memory, model, space="embedding")
    miner = miners.BatchHardMiner()
    optimizer = prunnet.ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model)
    batches = [(embeddings(i), LABELS.clone()) for i in range(2)]
    with pytest.raises(RuntimeError, match=r"`indices_tuple` should be None beside a memory"):
        for i in range(2):
            for capacity in optimizer.capacities():
                seen, labels = batches[i if capacity == 1 else 0]
                compatible(seen, labels, miner(seen, labels))
                model(torch.randn(2, 1, 8, 8)).sum().backward()
            optimizer.step()


def test_labels_that_all_batches_share_mean_the_batch_of_this_loop(model: nn.Module) -> None:
    compatible = CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model, alignment=1)
    optimizer = prunnet.ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model)
    for seed in range(2):
        for capacity in optimizer.capacities():
            value = compatible(embeddings(seed), LABELS)
            if capacity < 1:  # no angle between the same embeddings
                plain = compatible.loss(embeddings(seed), LABELS)
                torch.testing.assert_close(value, plain)
            model(torch.randn(2, 1, 8, 8)).sum().backward()
        optimizer.step()


def test_a_batch_of_the_loop_before_by_other_labels_is_refused(model: nn.Module) -> None:
    compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    optimizer = prunnet.ConflictAwareOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model)
    with pytest.raises(RuntimeError, match="loop before is known by its very tensor of labels"):
        for labels in (LABELS, LABELS.flip(0)):
            for capacity in optimizer.capacities():
                compatible(embeddings(), (labels if capacity == 1 else LABELS.clone()))
                model(torch.randn(2, 1, 8, 8)).sum().backward()
            optimizer.step()


def test_a_pass_of_more_batches_than_the_dense_one_is_refused(model: nn.Module) -> None:
    compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    optimizer = prunnet.ConflictAwareOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.1), model, subnetworks_per_step=None
    )
    with pytest.raises(RuntimeError, match="Found 2 of that one, and one more"):
        for capacity in optimizer.capacities():
            for _ in range(2 if capacity == 1 else 3):
                compatible(embeddings(), LABELS)
            model(torch.randn(2, 1, 8, 8)).sum().backward()


def test_outside_of_a_loop_one_batch_is_kept(model: nn.Module) -> None:
    compatible = prunnet.CompatibleLoss(losses.NormalizedSoftmaxLoss(3, 4), model)
    for seed in range(20):
        compatible(embeddings(seed), LABELS)
    assert len(compatible._dense._kept) == 1


@pytest.mark.parametrize("name", WITH_CLASS_WEIGHTS)
def test_the_parameters_are_the_class_weights_alone(model: nn.Module, name: str) -> None:
    """So that one optimizer can hold the model's and the loss's without holding any twice."""
    loss = WITH_CLASS_WEIGHTS[name]()
    compatible = CompatibleLoss(loss, model)
    assert [*compatible.parameters()] == [*loss.parameters()]
    assert set(compatible.state_dict()) == {f"loss.{key}" for key in loss.state_dict()}


def test_half_precision_embeddings_leave_float32_class_weights(model: nn.Module) -> None:
    compatible = prunnet.CompatibleLoss(losses.ArcFaceLoss(3, 4), model)
    [weight] = compatible.parameters()
    exact = weight.detach().clone()
    for capacity in (1.0, 0.4):
        with prunnet.capacity(model, capacity), torch.autocast("cpu", torch.bfloat16):
            loss = compatible(embeddings().bfloat16(), LABELS)
        assert loss.dtype == torch.float32
        loss.backward() if capacity == 1 else None
    assert torch.equal(weight, exact)
    assert weight.dtype == weight.grad.dtype == torch.float32


def test_double_precision_stays_double(model: nn.Module) -> None:
    compatible = prunnet.CompatibleLoss(losses.ContrastiveLoss(), model, "embedding", contrast=1)
    for capacity in (1.0, 0.4):
        with prunnet.capacity(model, capacity):
            assert compatible(embeddings().double(), LABELS).dtype == torch.float64


@pytest.mark.parametrize("space", ["logit", "both"])
def test_a_loss_without_class_weights_is_refused_in_logit_space(
    model: nn.Module, space: str
) -> None:
    message = rf"`loss` should fit space='{space}'\. Found ContrastiveLoss: it has no class weights"
    with pytest.raises(ValueError, match=message):
        CompatibleLoss(losses.ContrastiveLoss(), model, space=space)


def test_an_unknown_space_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"`space` should be 'logit', .* Found 'logits'"):
        CompatibleLoss(losses.ArcFaceLoss(3, 4), model, space="logits")


def test_a_plain_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`model` should be a prunable network.* TinyEmbedder"):
        CompatibleLoss(losses.ArcFaceLoss(3, 4), TinyEmbedder())


@pytest.mark.parametrize(("rows", "found"), [(None, "none"), (4, r"a batch of \(4, 4\)")])
def test_a_subnetwork_before_the_dense_network_is_refused(
    model: nn.Module, rows: int | None, found: str
) -> None:
    compatible = CompatibleLoss(losses.ContrastiveLoss(), model, space="embedding")
    if rows:
        compatible(embeddings()[:rows], LABELS[:rows])
    message = rf"The dense network should embed a batch .* Found {found} for \(6, 4\)"
    with prunnet.capacity(model, 0.4), pytest.raises(RuntimeError, match=message):
        compatible(embeddings(), LABELS)


@pytest.mark.parametrize("alignment", [0.5, 10.0])
def test_alignment_draws_a_subnetwork_to_the_dense_embeddings(
    model: nn.Module, alignment: float
) -> None:
    plain = losses.ArcFaceLoss(3, 4)
    compatible = prunnet.CompatibleLoss(plain, model, alignment=alignment, contrast=0)
    dense, masked = embeddings(1), embeddings(2)
    assert torch.equal(compatible(dense, LABELS), plain(dense, LABELS))
    with prunnet.capacity(model, 0.4):
        found = compatible(masked, LABELS)
    cosines = [(a @ b / (a.norm() * b.norm())).item() for a, b in zip(masked, dense, strict=True)]
    expected = plain(masked, LABELS).item() + alignment * (1 - sum(cosines) / len(cosines))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    of_masked, of_dense = gradients(found, masked, dense)
    assert of_masked.abs().sum() > 0
    assert of_dense is None


def supervised_contrast(anchors: Tensor, labels: list[int], dense: Tensor) -> float:
    """An image's share, and that of its class-mates, of the softmax over the dense batch."""
    total = 0.0
    for i, anchor in enumerate(nn.functional.normalize(anchors)):
        similarities = [(anchor @ d / 0.05).item() for d in nn.functional.normalize(dense)]
        everything = math.log(sum(math.exp(similarity) for similarity in similarities))
        terms = [everything - similarity for similarity in similarities]
        mates = [j for j in range(len(labels)) if labels[j] == labels[i] and j != i]
        if mates:
            total += terms[i] / 2 + sum(terms[j] for j in mates) / len(mates) / 2
        else:
            total += terms[i]
    return total / len(labels)


@pytest.mark.parametrize("contrast", [0.5, 3.0])
@pytest.mark.parametrize("alignment", [0.0, 2.0])
def test_contrast_compares_a_subnetwork_with_the_whole_dense_batch(
    model: nn.Module, alignment: float, contrast: float
) -> None:
    plain = losses.ArcFaceLoss(3, 4)
    compatible = prunnet.CompatibleLoss(plain, model, alignment=alignment, contrast=contrast)
    dense, masked = embeddings(1), embeddings(2)
    assert torch.equal(compatible(dense, LABELS), plain(dense, LABELS))
    with prunnet.capacity(model, 0.4):
        found = compatible(masked, LABELS)
    of_cosines = (1 - nn.functional.cosine_similarity(masked, dense)).mean().item()
    expected = plain(masked, LABELS).item() + alignment * of_cosines
    expected += contrast * supervised_contrast(masked, LABELS.tolist(), dense)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    of_masked, of_dense = gradients(found, masked, dense)
    assert of_masked.abs().sum() > 0
    assert of_dense is None


@pytest.mark.parametrize("spread", [1.0, 0.2, 0.0], ids=["apart", "near", "perfect"])
@pytest.mark.parametrize("images", [8, 64])
def test_contrast_is_the_supervised_one_of_pytorch_metric_learning_where_no_image_has_mates(
    images: int, spread: float
) -> None:
    """Which looks for pairs, and keeps a GPU's host waiting. One image is a hard one."""
    labels = torch.randperm(1000)[:images]
    dense = torch.eye(128)[:images] + spread * torch.randn(images, 128)
    anchors = dense + spread * torch.randn(images, 128)
    anchors[0] = -anchors[0]
    anchors.requires_grad_()
    found = []
    for loss in (
        losses.SupConLoss(TEMPERATURE, reducer=reducers.MeanReducer()),
        ImageAndClassLoss(TEMPERATURE),
    ):
        value = loss(anchors, labels, ref_emb=dense, ref_labels=labels.clone())
        found.append((value, *torch.autograd.grad(value, anchors)))
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 5, 1000])
def test_the_same_image_counts_as_much_as_all_its_class_mates(classes: int) -> None:
    labels = torch.randint(classes, (24,))
    anchors, dense = torch.randn(24, 16), torch.randn(24, 16)
    found = ImageAndClassLoss(TEMPERATURE)(anchors, labels, ref_emb=dense, ref_labels=labels)
    assert found.item() == pytest.approx(supervised_contrast(anchors, labels.tolist(), dense))


def test_contrast_without_labels_takes_every_image_for_a_class(model: nn.Module) -> None:
    plain = losses.ManifoldLoss(4, K=3)
    compatible = prunnet.CompatibleLoss(plain, model, alignment=0)
    without = prunnet.CompatibleLoss(plain, model, alignment=0, contrast=0)
    dense, masked = embeddings(1), embeddings(2)
    values = []
    for loss_func in (compatible, without):
        torch.manual_seed(0)  # it draws
        loss_func(dense)
        torch.manual_seed(0)
        with prunnet.capacity(model, 0.4):
            values.append(loss_func(masked).item())
    contrast = supervised_contrast(masked, list(range(6)), dense)
    assert values[0] == pytest.approx(values[1] + 3 * contrast, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "space", "contrast"),
    [
        (losses.ArcFaceLoss(3, 4), "logit", 3.0),
        (losses.TripletMarginLoss(), "embedding", 0.0),
        (Prototypes(), "both", 0.0),
    ],
)
def test_contrast_is_for_losses_that_compare_no_embeddings(
    model: nn.Module, loss: nn.Module, space: Space, contrast: float
) -> None:
    assert prunnet.CompatibleLoss(loss, model, space).contrast == contrast
    assert prunnet.CompatibleLoss(loss, model, space, contrast=0.3).contrast == 0.3


def test_contrast_wants_one_class_an_image(model: nn.Module) -> None:
    class SoftLabels(Prototypes):
        def forward(self, embeddings: Tensor, labels: Tensor, *_: object) -> Tensor:
            return nn.functional.cross_entropy(embeddings @ self.weight.T, labels)

    labels = torch.full((6, 3), 1 / 3)
    without = prunnet.CompatibleLoss(SoftLabels(), model, contrast=0)
    compatible = prunnet.CompatibleLoss(SoftLabels(), model)
    for loss_func in (without, compatible):
        loss_func(embeddings(1), labels)
    message = r"`contrast` should be 0 .* Found labels \(6, 3\) for embeddings \(6, 4\)"
    with prunnet.capacity(model, 0.4):
        assert without(embeddings(2), labels).isfinite()
        with pytest.raises(ValueError, match=message):
            compatible(embeddings(2), labels)


@pytest.mark.parametrize("weights", [{"alignment": 10.0, "contrast": 0}, {"alignment": 0}])
def test_alignment_and_contrast_need_the_dense_pass_first(
    model: nn.Module, weights: dict[str, float]
) -> None:
    compatible = prunnet.CompatibleLoss(losses.ArcFaceLoss(3, 4), model, **weights)
    with (
        prunnet.capacity(model, 0.4),
        pytest.raises(RuntimeError, match=r"dense network should embed a batch .* Found none"),
    ):
        compatible(embeddings(), LABELS)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "1"])
@pytest.mark.parametrize("name", ["alignment", "contrast"])
def test_weights_are_not_negative(model: nn.Module, name: str, weight: object) -> None:
    with pytest.raises(
        ValueError, match=rf"`{name}` should be finite, at least 0\. Found {weight!r}"
    ):
        prunnet.CompatibleLoss(losses.ArcFaceLoss(3, 4), model, **{name: weight})


def test_alignment_and_contrast_refuse_a_reducer_that_gives_no_number(model: nn.Module) -> None:
    loss = losses.ArcFaceLoss(3, 4, reducer=reducers.DoNothingReducer())
    compatible = prunnet.CompatibleLoss(loss, model)
    compatible(embeddings(1), LABELS)
    with (
        prunnet.capacity(model, 0.4),
        pytest.raises(ValueError, match=r"`alignment` and `contrast` .* Found 10, 3 and a dict"),
    ):
        compatible(embeddings(2), LABELS)


def test_a_subnetwork_embeds_the_batch_that_the_dense_network_saw(model: nn.Module) -> None:
    """Micro-batches inside the loop over capacities would be aligned with other images."""
    compatible = prunnet.CompatibleLoss(losses.ArcFaceLoss(3, 4), model)
    compatible(embeddings(1), LABELS)
    with prunnet.capacity(model, 0.4):
        compatible(embeddings(2), LABELS.clone())
        with pytest.raises(RuntimeError, match="batch that the dense network embedded: loop"):
            compatible(embeddings(2), LABELS.flip(0))


@pytest.mark.parametrize("loss", ["arcface", losses.ArcFaceLoss], ids=str)
def test_what_is_no_loss_is_refused(model: nn.Module, loss: object) -> None:
    with pytest.raises(ValueError, match="`loss` should be a loss of pytorch-metric-learning"):
        prunnet.CompatibleLoss(loss, model)


def test_a_compatible_loss_does_not_go_into_another(model: nn.Module) -> None:
    inner = prunnet.CompatibleLoss(losses.ArcFaceLoss(3, 4), model)
    with pytest.raises(ValueError, match="`loss` should be a loss of pytorch-metric-learning"):
        prunnet.CompatibleLoss(inner, model)
