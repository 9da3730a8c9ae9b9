"""Embedding: the same whatever holds the images, once per capacity, the network left as it was."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import prunnet_pml as prunnet
from prunnet_pml.evaluation import embed, embed_capacities

IMAGES, LABELS = (
    torch.rand(11, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
    torch.arange(11),
)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(216, 7),
    )  # fmt: skip


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(network(), capacities=(0.5, 0.2))


class Broken(nn.Module):
    """Fails at its second batch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.calls = model, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > 2:
            raise RuntimeError("out of memory")
        return self.model(images)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_dataset_loader_and_tensors_give_the_same(model: nn.Module, batch_size: int) -> None:
    data = TensorDataset(IMAGES, LABELS)
    model.eval()
    expected = nn.functional.normalize(model(IMAGES).detach(), dim=1)
    for source in (data, DataLoader(data, batch_size), (IMAGES, LABELS)):
        embeddings, labels = embed(model, source, batch_size=batch_size)
        torch.testing.assert_close(embeddings, expected)
        assert labels.equal(LABELS)
        assert not embeddings.requires_grad


def test_normalisation_can_be_left_out(model: nn.Module) -> None:
    raw, _ = embed(model, (IMAGES, LABELS), normalize=False)
    unit, _ = embed(model, (IMAGES, LABELS))
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(11))
    torch.testing.assert_close(raw / raw.norm(dim=1, keepdim=True), unit)
    assert not raw.norm(dim=1).allclose(torch.ones(11))


def test_uint8_images_are_scaled_to_one(model: nn.Module) -> None:
    images = (IMAGES * 255).to(torch.uint8)
    expected, _ = embed(model, (images / 255, LABELS))
    assert embed(model, (images, LABELS))[0].equal(expected)


def test_plain_networks_are_embedded_too() -> None:
    assert embed(network(), (IMAGES, LABELS))[0].shape == (11, 7)


def test_half_precision_networks_give_float32(model: nn.Module) -> None:
    embeddings, _ = embed(model.bfloat16(), (IMAGES.bfloat16(), LABELS))
    assert embeddings.dtype == torch.float32
    assert torch.equal(embed(model, (IMAGES, LABELS))[0], embeddings)  # a loader's are float32


def test_images_of_a_precision_that_the_network_has_stay_as_they_are() -> None:
    """As of a CLIP in half precision, whose first parameter is none that reads images."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.body = network().bfloat16()

        def forward(self, images: Tensor) -> Tensor:
            return self.body(images) * self.scale

    embeddings, _ = embed(Scaled(), (IMAGES.bfloat16(), LABELS))
    assert embeddings.shape == (11, 7)


def test_each_capacity_is_that_of_the_network_set_to_it(model: nn.Module) -> None:
    found, labels = embed_capacities(model, (IMAGES, LABELS), (1.0, 0.5, 0.3), batch_size=4)
    assert list(found) == [1.0, 0.5, 0.3]
    assert labels.equal(LABELS)
    for value, embeddings in found.items():
        with prunnet.capacity(model, value):
            expected, _ = embed(model, (IMAGES, LABELS), batch_size=4)
        assert embeddings.equal(expected)
    assert not found[1.0].allclose(found[0.3])


def test_shuffled_loader_gives_every_capacity_the_same_order(model: nn.Module) -> None:
    loader = DataLoader(TensorDataset(IMAGES, LABELS), 3, shuffle=True)
    found, labels = embed_capacities(model, loader, (1.0, 0.2))
    assert not labels.equal(LABELS)
    for value, embeddings in found.items():
        with prunnet.capacity(model, value):
            expected, _ = embed(model, (IMAGES[labels], LABELS))
        torch.testing.assert_close(embeddings, expected)


@pytest.mark.parametrize("before", [1.0, 0.2])
def test_modes_statistics_and_capacity_are_left_as_they_were(
    model: nn.Module, before: float
) -> None:
    model.train()
    model[1].eval()  # a frozen norm
    prunnet.set_capacity(model, before)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    embed_capacities(model, (IMAGES, LABELS), (1.0, 0.5))
    assert [module.training for module in model.modules()] == [True, True, False, *[True] * 4]
    assert prunnet.get_capacity(model) == before
    assert all(tensor.equal(state[name]) for name, tensor in model.state_dict().items())


def test_modes_and_capacity_are_restored_when_the_network_fails(model: nn.Module) -> None:
    broken = Broken(model).train()
    prunnet.set_capacity(model, 0.5)
    with pytest.raises(RuntimeError, match=r"out of memory"):
        embed_capacities(broken, (IMAGES, LABELS), (1.0, 0.2), batch_size=4)
    assert all(module.training for module in broken.modules())
    assert prunnet.get_capacity(model) == 0.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES, "`data` should be a Dataset, a DataLoader or two tensors. Found Tensor."),
        (DataLoader([{"images": IMAGES[0]}]), r"`data` should yield \(image, label\). Found dict."),
        ((IMAGES, LABELS[:4]), "`data` should hold as many labels as images. Found 11 and 4."),
        ((IMAGES[:0], LABELS[:0]), "`data` should hold at least one image. Found none."),
        ((IMAGES, LABELS / 2), "labels should be 11 integers, one an image. Found torch.float32"),
        (DataLoader([(IMAGES[0], "shirt")]), "labels should be 1 integers. Found a tuple: "),
        (
            DataLoader([({"image": IMAGES[0]}, 1)]),
            "should yield images as one tensor. Found a dict",
        ),
        ((IMAGES / 0, LABELS), "`model` should return finite embeddings. Found NaN or infinity."),
    ],
)
def test_data_that_can_not_be_embedded_are_named(
    model: nn.Module, data: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        embed(model, data)


class Returning(nn.Module):
    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> object:
        return self.output


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (torch.zeros(11, 6, 6, 6), r"a tensor of shape \(11, 6, 6, 6\)"),
        (torch.zeros(10, 7), r"a tensor of shape \(10, 7\)"),
        ({"embeddings": torch.zeros(11, 7)}, "dict"),
    ],
    ids=["feature maps", "too few", "dict"],
)
def test_what_is_no_embeddings_is_named(output: object, found: str) -> None:
    message = rf"`model` should return its embeddings as one tensor, \[11, dim.* Found {found}\."
    with pytest.raises(ValueError, match=message):
        embed(Returning(output), (IMAGES, LABELS))


@pytest.mark.parametrize("batch_size", [0, "8", 2.5, None])
def test_a_batch_has_a_number_of_images(model: nn.Module, batch_size: object) -> None:
    message = rf"`batch_size` should be an integer from 1 on\. Found {batch_size!r}\."
    with pytest.raises(ValueError, match=message):
        embed(model, (IMAGES, LABELS), batch_size=batch_size)
