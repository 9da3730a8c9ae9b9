"""Glyphs: open-set splits that stay the same, images drawn right, distortion of whole batches."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from prunnet_pml.datasets import Distortion, Glyphs

STILL = Distortion(rotation=0, shift=0, scale=0, blur=0, noise=0)


@pytest.fixture(scope="module")
def train() -> Glyphs:
    return Glyphs("train")


@pytest.fixture(scope="module")
def test() -> Glyphs:
    return Glyphs("test")


@pytest.fixture(scope="module")
def clean() -> Glyphs:
    return Glyphs("test", distortion=None)


@pytest.mark.parametrize(
    ("kind", "characters", "images"), [("letters", 1348, 18408), ("all", 2387, 32336)]
)
def test_number_of_characters_and_images_is_that_of_the_documentation(
    kind: str, characters: int, images: int
) -> None:
    splits = [Glyphs(split, kind, distortion=None) for split in ("train", "test")]
    assert sum(len(split.characters) for split in splits) == characters
    assert sum(len(split) for split in splits) == images


def test_no_character_of_the_test_split_is_seen_in_training(train: Glyphs, test: Glyphs) -> None:
    assert not set(train.characters) & set(test.characters)
    assert abs(len(train.characters) - len(test.characters)) <= 1


def test_every_character_has_images_of_12_to_16_faces(train: Glyphs) -> None:
    assert train.images.shape == (len(train), 1, 32, 32)
    assert train.images.dtype == torch.uint8
    counts = train.labels.bincount()
    assert len(counts) == len(train.characters)
    assert counts.min() >= 12 and counts.max() == 16


def test_letters_are_cased_and_in_code_point_order(train: Glyphs) -> None:
    assert all(name.isupper() or name.islower() for name in train.characters)
    assert train.characters == sorted(train.characters)


def test_no_image_is_blank_and_none_touches_the_edge(clean: Glyphs) -> None:
    assert (clean.images.flatten(1).max(dim=1).values > 100).all()
    inner = clean.images[:, :, 1:-1, 1:-1].long().sum()
    assert inner == clean.images.long().sum()


def test_label_is_the_character_that_is_drawn() -> None:
    # An l is a tall thin line, an m is broader than tall, whatever the face.
    ink = {}
    for split in ("train", "test"):
        data = Glyphs(split, distortion=None)
        for name in {"l", "m"} & set(data.characters):
            ink[name] = data.images[data.labels == data.characters.index(name)].amax(dim=(0, 1)) > 0
    assert ink["l"].any(dim=1).sum() > ink["l"].any(dim=0).sum()
    assert ink["m"].any(dim=1).sum() < ink["m"].any(dim=0).sum()


def test_pixels_find_the_same_character_far_more_often_than_chance(clean: Glyphs) -> None:
    few = clean.labels < 60
    x, labels = F.normalize(clean.images[few].flatten(1).float(), dim=1), clean.labels[few]
    nearest = (x @ x.T).fill_diagonal_(-1).argmax(dim=1)
    assert (labels[nearest] == labels).float().mean() > 0.5  # chance: 1/60


def test_same_seed_same_split_and_same_test_images(test: Glyphs) -> None:
    again, other = Glyphs("test"), Glyphs("test", seed=1)
    assert again.characters == test.characters
    assert again.images.equal(test.images)
    assert other.characters != test.characters


def test_split_does_not_depend_on_the_distortion(test: Glyphs, clean: Glyphs) -> None:
    assert test.characters == clean.characters
    assert test.labels.equal(clean.labels)
    assert not test.images.equal(clean.images)


def test_making_a_dataset_leaves_the_global_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    Glyphs("test")
    assert torch.get_rng_state().equal(before)


def test_test_images_are_the_same_at_every_access(test: Glyphs) -> None:
    image, label = test[7]
    assert image.equal(test.images[7] / 255)
    assert label == test.labels[7]
    assert image.equal(test[7][0])


def test_training_images_are_distorted_afresh_under_torch_manual_seed(train: Glyphs) -> None:
    torch.manual_seed(3)
    first, second = train[7][0], train[7][0]
    torch.manual_seed(3)
    assert not first.equal(second)
    assert first.equal(train[7][0])


def test_loader_gives_float_batches_each_image_distorted_in_its_own_way() -> None:
    data = Glyphs("train", distortion=Distortion(noise=0.1))
    images, labels = next(iter(DataLoader(torch.utils.data.Subset(data, [5] * 8), batch_size=8)))
    assert images.shape == (8, 1, 32, 32)
    assert images.dtype == torch.float32
    assert labels.tolist() == [data.labels[5]] * 8
    assert len({image.numpy().tobytes() for image in images}) == 8


def test_without_distortion_training_images_are_the_drawn_ones() -> None:
    data = Glyphs("train", distortion=None)
    assert data[3][0].equal(data.images[3] / 255)


def test_transform_comes_last_on_each_image() -> None:
    data = Glyphs("test", transform=lambda image: image.expand(3, -1, -1))
    assert data[0][0].shape == (3, 32, 32)
    assert [x.shape for x, _ in data.__getitems__([0, 1])] == [(3, 32, 32)] * 2


def test_size_is_the_side_of_the_images() -> None:
    assert Glyphs("test", size=16).images.shape[1:] == (1, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "x"}, "`split` should be 'train' or 'test'. Found 'x'."),
        ({"characters": "x"}, "`characters` should be 'letters' or 'all'. Found 'x'."),
        ({"size": 4}, "`size` should be an int of at least 8. Found 4."),
        ({"size": 32.0}, "`size` should be an int of at least 8. Found 32.0."),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.") + "$"):
        Glyphs(**arguments)


def test_distortion_of_nothing_is_the_identity(clean: Glyphs) -> None:
    images = clean.images[:20] / 255
    torch.testing.assert_close(STILL(images), images)


def test_distortion_follows_its_generator_and_nothing_else(clean: Glyphs) -> None:
    images, distortion = clean.images[:20] / 255, Distortion()
    before = torch.get_rng_state()
    first = distortion(images, torch.Generator().manual_seed(1))
    assert first.equal(distortion(images, torch.Generator().manual_seed(1)))
    assert not first.equal(distortion(images, torch.Generator().manual_seed(2)))
    assert torch.get_rng_state().equal(before)


def test_distorted_pixels_stay_in_range_shape_and_type() -> None:
    images = torch.rand(6, 3, 20, 28, dtype=torch.float64)
    distorted = Distortion(noise=2.0)(images)
    assert distorted.shape == images.shape
    assert distorted.dtype == images.dtype
    assert distorted.min() >= 0 and distorted.max() <= 1


def test_shift_moves_an_image_by_at_most_that_share_of_its_side() -> None:
    spot = torch.zeros(200, 1, 40, 40)
    spot[..., 19:21, 19:21] = 1
    moved = Distortion(rotation=0, shift=0.1, scale=0, blur=0, noise=0)(spot)
    offset = centres(moved) - centres(spot)  # [200, 2], in pixels
    assert offset.abs().max() <= 0.1 * 40 + 1e-3
    assert (offset.amax(dim=0) > 3).all() and (offset.amin(dim=0) < -3).all()


def test_rotation_turns_an_image_by_at_most_that_angle() -> None:
    spot = torch.zeros(200, 1, 41, 41)
    spot[..., 20, 35] = 1  # 15 pixels right of the centre
    turned = Distortion(rotation=30, shift=0, scale=0, blur=0, noise=0)(spot)
    down, right = (centres(turned) - 20).unbind(dim=1)
    angles = torch.atan2(down, right).rad2deg()
    assert angles.abs().max() <= 30 + 1
    assert angles.max() > 25 and angles.min() < -25
    torch.testing.assert_close(torch.hypot(down, right), torch.full((200,), 15.0), atol=0.3, rtol=0)


def test_scale_makes_images_larger_and_smaller_within_its_bounds() -> None:
    square = torch.zeros(200, 1, 40, 40)
    square[..., 10:30, 10:30] = 1
    area = Distortion(rotation=0, shift=0, scale=0.2, blur=0, noise=0)(square).sum(dim=(1, 2, 3))
    side = area.sqrt() / 20
    assert side.max() <= 1.2 + 0.02 and side.min() >= 1 / 1.2 - 0.02
    assert side.max() > 1.15 and side.min() < 1 / 1.15


def test_blur_keeps_the_light_and_spreads_it() -> None:
    spot = torch.zeros(50, 1, 9, 9)
    spot[..., 4, 4] = 1
    blurred = Distortion(rotation=0, shift=0, scale=0, blur=0.2, noise=0)(spot)
    torch.testing.assert_close(blurred.sum(dim=(1, 2, 3)), torch.ones(50))
    neighbour = blurred[:, 0, 3, 4]
    assert 0.15 < neighbour.max() <= 0.2


@pytest.mark.parametrize("name", ["rotation", "shift", "scale", "blur", "noise"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_distortions_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` should be .* Found {value}"):
        Distortion(**{name: value})


def test_blur_above_a_quarter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`blur` should be in \[0, 0.25\]. Found 0.3."):
        Distortion(blur=0.3)


@pytest.mark.parametrize(
    "images", [torch.zeros(32, 32), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)]
)
def test_distortion_wants_a_float_batch(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"`images` should be a float tensor \[b, c, h, w\]"):
        Distortion()(images)


def centres(images: torch.Tensor) -> torch.Tensor:
    """Row and column of the centre of the light, ``[b, 2]``."""
    total = images.sum(dim=(1, 2, 3))
    rows = (images.sum(dim=(1, 3)) * torch.arange(images.shape[2])).sum(dim=1) / total
    columns = (images.sum(dim=(1, 2)) * torch.arange(images.shape[3])).sum(dim=1) / total
    return torch.stack([rows, columns], dim=1)
