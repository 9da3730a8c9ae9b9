"""evaluate(): one embedding per image and capacity, and the numbers one would get by hand."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import prunnet_pml as prunnet
from prunnet_pml.evaluation import METRICS, CompatibilityMatrix, embed, evaluate

GENERATOR = torch.Generator().manual_seed(0)
IMAGES, LABELS = torch.rand(40, 1, 8, 8, generator=GENERATOR), torch.arange(40) % 8
INDEXED, INDEXED_LABELS = torch.rand(25, 1, 8, 8, generator=GENERATOR), torch.arange(25) % 9


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(216, 7)
    )
    return prunnet.make_prunable(plain, capacities=(0.2, 0.6))


@pytest.fixture
def seen(model: nn.Module) -> dict[float, int]:
    """Counts the images that the network embeds, by capacity."""
    counts: dict[float, int] = {}

    def count(module: nn.Module, inputs: tuple[torch.Tensor], _: object) -> None:
        value = prunnet.get_capacity(module)
        counts[value] = counts.get(value, 0) + len(inputs[0])

    model.register_forward_hook(count)
    return counts


def by_hand(model: nn.Module, images: torch.Tensor, value: float) -> torch.Tensor:
    with prunnet.capacity(model, value):
        return embed(model, (images, torch.zeros(len(images), dtype=torch.long)))[0]


def test_capacities_are_by_default_the_dense_network_and_the_trained_ones(
    model: nn.Module,
) -> None:
    matrix = evaluate(model, (IMAGES, LABELS))
    assert matrix.capacities == matrix.query_capacities == (1.0, 0.6, 0.2)
    assert matrix.gallery_capacities == (1.0, 0.6, 0.2)
    assert matrix.trained_capacities == (0.6, 0.2)
    assert set(matrix.values) == set(METRICS)


def test_leave_one_out_is_what_the_embeddings_give_by_hand(model: nn.Module) -> None:
    matrix = evaluate(model, TensorDataset(IMAGES, LABELS), capacities=(0.2, 1.0), batch_size=7)
    hand = {value: by_hand(model, IMAGES, value) for value in (0.2, 1.0)}
    expected = CompatibilityMatrix.from_embeddings(hand, LABELS)
    for metric in METRICS:
        assert (matrix[metric] == expected[metric]).all()
    assert len(set(matrix["mean_average_precision"].flat)) == 4  # none copied from another cell


def test_separate_gallery_is_what_the_embeddings_give_by_hand(model: nn.Module) -> None:
    matrix = evaluate(
        model, (IMAGES, LABELS), (INDEXED, INDEXED_LABELS), (0.2, 0.6), gallery_capacities=(1.0,)
    )
    expected = CompatibilityMatrix.from_embeddings(
        {value: by_hand(model, IMAGES, value) for value in (0.2, 0.6)}, LABELS,
        {1.0: by_hand(model, INDEXED, 1.0)}, INDEXED_LABELS,
    )  # fmt: skip
    assert matrix["recall_at_1"].shape == (2, 1)
    for metric in METRICS:
        assert (matrix[metric] == expected[metric]).all()


def test_gallery_equal_to_the_queries_is_not_a_leave_one_out(model: nn.Module) -> None:
    matrix = evaluate(model, (IMAGES, LABELS), (IMAGES, LABELS), capacities=(1.0,))
    assert matrix.value("recall_at_1", 1.0, 1.0) == 1  # everything finds itself


def test_every_image_is_embedded_once_per_capacity(
    model: nn.Module, seen: dict[float, int]
) -> None:
    evaluate(model, (IMAGES, LABELS), batch_size=16)
    assert seen == {1.0: 40, 0.6: 40, 0.2: 40}


def test_only_the_capacities_asked_for_are_embedded(
    model: nn.Module, seen: dict[float, int]
) -> None:
    evaluate(model, (IMAGES, LABELS), capacities=(0.6, 0.3), gallery_capacities=(1.0, 0.6))
    assert seen == {0.6: 40, 0.3: 40, 1.0: 40}
    seen.clear()
    evaluate(model, (IMAGES, LABELS), (INDEXED, INDEXED_LABELS), (0.6,), gallery_capacities=(1.0,))
    assert seen == {0.6: 40, 1.0: 25}


def test_random_numbers_modes_and_capacity_are_left_alone(model: nn.Module) -> None:
    model.train()
    prunnet.set_capacity(model, 0.6)
    before = torch.get_rng_state()
    evaluate(model, (IMAGES, LABELS))
    assert torch.get_rng_state().equal(before)
    assert model.training
    assert prunnet.get_capacity(model) == 0.6


@pytest.mark.parametrize(
    ("capacities", "message"),
    [
        ((), "`capacities` should hold at least one capacity. Found none"),
        ((0.5, 0.5), "`capacities` should be distinct. Found"),
        (0.5, "`capacities` should be a sequence of capacities. Found 0.5"),
        ("half", "`capacities` should be a sequence of capacities. Found 'half'"),
        ((1.2,), r"`capacities` should be in \(0, 1\]. Found 1.2."),
        (("half",), r"`capacities` should be in \(0, 1\]. Found 'half'."),
    ],
)
def test_bad_capacities_are_refused_before_anything_is_embedded(
    model: nn.Module, seen: dict[float, int], capacities: tuple, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(model, (IMAGES, LABELS), capacities=capacities)
    assert seen == {}


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        ([IMAGES], None, "`query` should be a Dataset, a DataLoader or two tensors. Found list."),
        ((IMAGES, LABELS[:3]), None, "`query` should hold as many labels as images. Found"),
        ((IMAGES, LABELS), IMAGES, "`gallery` should be a Dataset, .* Found Tensor."),
        ((IMAGES, LABELS), (IMAGES, LABELS[:3]), "`gallery` should hold as many labels as images."),
    ],
)
def test_sets_of_another_kind_are_refused_before_anything_is_embedded(
    model: nn.Module, seen: dict[float, int], query: object, gallery: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(model, query, gallery)
    assert seen == {}


def test_plain_network_has_no_matrix() -> None:
    with pytest.raises(ValueError, match=r"`model` should be a prunable network"):
        evaluate(nn.Linear(3, 3), (torch.rand(4, 3), torch.arange(4) % 2))
