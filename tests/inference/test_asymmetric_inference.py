"""A gallery indexed by one capacity, searched by others, and by nothing that does not compare."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning.utils.inference import FaissKNN
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import prunnet_pml as prunnet
from prunnet_pml.inference import AsymmetricInference, GalleryStamp
from prunnet_pml.space import space_id

CPU = torch.device("cpu")
GALLERY, MORE, QUERY = (
    torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (20, 10, 6)
)


@pytest.fixture
def model() -> nn.Module:
    """With norm statistics that tell capacities apart."""
    model = prunnet.make_prunable(TinyEmbedder())
    for capacity in (1.0, *prunnet.trained_capacities(model)):
        prunnet.set_capacity(model, capacity)
        model(torch.randn(16, 1, 8, 8))
    prunnet.set_capacity(model, 1.0)
    return model.eval()


def inference(network: nn.Module, **kwargs: object) -> AsymmetricInference:
    return AsymmetricInference(network, data_device=CPU, **kwargs)


def by_hand(model: nn.Module, images: Tensor, capacity: float) -> Tensor:
    with prunnet.capacity(model, capacity), torch.no_grad():
        return nn.functional.normalize(model(images), dim=1)


def nearest(query: Tensor, gallery: Tensor, k: int) -> Tensor:
    """Positions in the gallery, one query at a time."""
    rows = [[float((q - g).norm()) for g in gallery] for q in query]
    return torch.tensor([sorted(range(len(row)), key=row.__getitem__)[:k] for row in rows])


@pytest.fixture
def saved(model: nn.Module, tmp_path: Path) -> Path:
    server = inference(model)
    server.train_knn(GALLERY)
    server.save_knn_func(tmp_path / "gallery.index")
    return tmp_path / "gallery.index"


def test_every_capacity_searches_the_gallery_of_every_other(model: nn.Module) -> None:
    results = []
    for indexed in (1.0, 0.4, 0.5):
        index = inference(model)
        with prunnet.capacity(model, indexed):
            index.train_knn(TensorDataset(GALLERY, torch.zeros(20)), batch_size=7)
        assert index.stamp == GalleryStamp(space_id(model), (indexed,), True, 4)
        for searching in (1.0, 0.2):
            with prunnet.capacity(model, searching):
                distances, indices = index.get_nearest_neighbors(QUERY, k=5)
            queries, gallery = (
                by_hand(model, *p) for p in ((QUERY, searching), (GALLERY, indexed))
            )
            assert indices.equal(nearest(queries, gallery, 5))
            expected = torch.cdist(queries, gallery).gather(1, indices).square()  # faiss squares
            torch.testing.assert_close(distances, expected, rtol=1e-4, atol=1e-5)
            results.append(indices)
    assert len({tuple(result.flatten().tolist()) for result in results}) > 3


def test_a_capacity_of_its_own_leaves_the_network_as_it_is(model: nn.Module) -> None:
    index = inference(model, capacity=0.4)
    index.train_knn(GALLERY)
    assert index.stamp.capacities == (0.4,)
    assert prunnet.get_capacity(model) == 1
    assert index.get_embeddings(QUERY).equal(by_hand(model, QUERY, 0.4))


@pytest.mark.parametrize("pruned", [True, False], ids=["pruned network", "prunable network"])
def test_a_device_searches_the_saved_gallery(model: nn.Module, saved: Path, pruned: bool) -> None:
    if pruned:
        student = prunnet.prune(model, 0.2)
        device = inference(student, capacity=0.2, space_id=space_id(model))
    else:
        device = inference(copy.deepcopy(model), capacity=0.2)
    device.load_knn_func(saved)
    assert device.stamp == GalleryStamp(space_id(model), (1.0,), True, 4)
    _, indices = device.get_nearest_neighbors(QUERY, k=np.int64(5))
    gallery = by_hand(model, GALLERY, 1.0)
    assert indices.equal(nearest(by_hand(model, QUERY, 0.2), gallery, 5))


def test_faiss_itself_opens_the_saved_index(model: nn.Module, saved: Path) -> None:
    index = faiss.read_index(str(saved))
    assert (index.ntotal, index.d) == (20, 4)
    found = torch.as_tensor(index.reconstruct_n(0, 20))  # PML makes faiss return tensors
    assert found.equal(by_hand(model, GALLERY, 1.0))


@pytest.mark.parametrize("kind", ["IVF2,Flat", "HNSW8", "PQ2x4"])
def test_other_kinds_of_index_are_saved_and_loaded(
    model: nn.Module, tmp_path: Path, kind: str
) -> None:
    class Trained(FaissKNN):
        """As PML says: an index that has to be trained needs a class of one's own."""

        def train(self, embeddings: Tensor) -> None:
            self.index = faiss.index_factory(embeddings.shape[1], kind)
            self.index.train(embeddings)
            self.add(embeddings)

    images = torch.randn(700, 1, 8, 8)  # faiss prints if it has fewer to learn from
    one, other = (
        inference(model, knn_func=Trained(reset_before=False, reset_after=False)) for _ in "ab"
    )
    one.train_knn(images, batch_size=700)
    one.save_knn_func(str(tmp_path / "it"))
    other.load_knn_func(str(tmp_path / "it"))
    for found, expected in zip(
        other.get_nearest_neighbors(QUERY, 3), one.get_nearest_neighbors(QUERY, 3), strict=True
    ):
        assert found.equal(expected)


def test_images_of_another_capacity_are_added_to_a_saved_gallery(
    model: nn.Module, saved: Path
) -> None:
    device = inference(prunnet.prune(model, 0.4), capacity=0.4, space_id=space_id(model))
    device.load_knn_func(saved)
    device.add_to_knn(MORE, batch_size=3)
    device.save_knn_func(saved)
    server = inference(model)
    server.load_knn_func(saved)
    assert server.stamp.capacities == (1.0, 0.4)
    server.add_to_knn(QUERY)
    assert server.stamp.capacities == (1.0, 0.4)
    parts = [(GALLERY, 1.0), (MORE, 0.4), (QUERY, 1.0)]
    gallery = torch.cat([by_hand(model, *part) for part in parts])
    assert server.knn_func.index.ntotal == len(gallery) == 36
    _, indices = server.get_nearest_neighbors(QUERY, k=6)
    assert indices.equal(nearest(by_hand(model, QUERY, 1.0), gallery, 6))


class Wider(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.network(images), self.network(images)], dim=1)


def strangers(model: nn.Module) -> dict[str, AsymmetricInference]:
    student, own = prunnet.prune(model, 0.4), space_id(model)
    return {
        "should embed into the gallery's space": inference(prunnet.make_prunable(TinyEmbedder())),
        "Found 'theirs', another training run's": inference(student, capacity=1, space_id="theirs"),
        "`normalize_embeddings` should be True": inference(model, normalize_embeddings=False),
        "gallery's size 4. Found 8": inference(Wider(student), capacity=0.4, space_id=own),
    }


@pytest.mark.parametrize("case", range(4))
def test_what_does_not_compare_is_an_error_and_no_result(
    model: nn.Module, saved: Path, case: int
) -> None:
    """Neither when it loads the gallery, nor when it searches it, nor when it adds to it."""
    reason, stranger = list(strangers(model).items())[case]
    if "size" in reason:  # that shows with the first image
        stranger.load_knn_func(saved)
    else:
        with pytest.raises(ValueError) as caught:
            stranger.load_knn_func(saved)
        assert reason in str(caught.value)
        assert stranger.stamp is None
        assert stranger.knn_func.index is None
        stranger.knn_func.load(str(saved))
        stranger.stamp = GalleryStamp.read(saved)
    for use in (
        lambda: stranger.get_nearest_neighbors(QUERY, 3),
        lambda: stranger.add_to_knn(MORE),
    ):
        with pytest.raises(ValueError) as caught:
            use()
        assert reason in str(caught.value)
    assert stranger.knn_func.index.ntotal == 20
    assert stranger.stamp == GalleryStamp.read(saved)


def test_weights_that_were_exchanged_under_an_index_are_noticed(
    model: nn.Module, saved: Path
) -> None:
    index = inference(model)
    index.load_knn_func(saved)
    model.load_state_dict(prunnet.make_prunable(TinyEmbedder()).state_dict())
    with pytest.raises(ValueError, match="should embed into the gallery's space"):
        index.get_nearest_neighbors(QUERY, 3)


def test_without_an_index_there_is_nothing_to_search_to_add_to_or_to_save(
    model: nn.Module, tmp_path: Path
) -> None:
    index = inference(model)
    uses = (
        lambda: index.get_nearest_neighbors(QUERY, 3),
        lambda: index.add_to_knn(MORE),
        lambda: index.save_knn_func(tmp_path / "it"),
    )
    for use in uses:
        with pytest.raises(ValueError, match="There should be an index"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_saved_gallery(model: nn.Module, saved: Path) -> None:
    index = inference(model)
    index.load_knn_func(saved)
    before = index.stamp
    whole = saved.read_bytes()
    other = saved.with_name("other")
    with pytest.raises(FileNotFoundError, match=r"`filename` should be an index .* no file "):
        index.load_knn_func(other)
    plain = whole[: whole.rindex(b"\n", 0, -1)]  # as faiss wrote it
    for content in (plain, whole[:-2], whole[:100], b"", b"[1]\n", b'{"prunnet_gallery": {}}\n'):
        other.write_bytes(content)
        with pytest.raises(ValueError, match=r"should be an index that .* Found no stamp in it"):
            index.load_knn_func(other)
    assert index.stamp == before
    assert index.knn_func.index.ntotal == 20


@pytest.mark.parametrize("k", [0, -1, 21, "3", 2.5, None])
def test_there_are_as_many_neighbours_as_images(model: nn.Module, k: object) -> None:
    """faiss would answer -1 for those beyond, and fail in C++ at none."""
    index = inference(model)
    index.train_knn(GALLERY)
    assert (
        index.get_nearest_neighbors(QUERY, 20)[1]
        .sort(1)
        .values.equal(torch.arange(20).expand(6, 20))
    )
    message = rf"`k` should be an integer from 1 to 20, the gallery's size\. Found {k!r}\."
    with pytest.raises(ValueError, match=message):
        index.get_nearest_neighbors(QUERY, k)


def test_a_gallery_that_cannot_be_saved_leaves_the_old_file(
    model: nn.Module, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(GalleryStamp, "append_to", fail)
    index = inference(model)
    index.train_knn(MORE)
    with pytest.raises(OSError, match="disk full"):
        index.save_knn_func(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_an_index_of_the_users_own_can_be_stamped(model: nn.Module) -> None:
    """A gallery that was there before: the dense network's, in plain faiss."""
    index = inference(model, capacity=0.4)
    index.knn_func.train(by_hand(model, GALLERY, 1.0))
    index.stamp = GalleryStamp(space_id(model), (1,), normalized=True, dimension=4)
    _, indices = index.get_nearest_neighbors(QUERY, 3)
    expected = nearest(by_hand(model, QUERY, 0.4), by_hand(model, GALLERY, 1.0), 3)
    assert indices.equal(expected)


def test_a_prunable_embedder_behind_a_prunable_trunk(model: nn.Module) -> None:
    embedder = prunnet.make_prunable(nn.Linear(4, 3), space_id=space_id(model))
    index = inference(model, embedder=embedder, capacity=0.6)
    index.train_knn(GALLERY)
    both = nn.Sequential(model, embedder)
    assert index.stamp == GalleryStamp(space_id(both), (0.6,), True, 3)
    assert index.get_embeddings(QUERY).equal(by_hand(both, QUERY, 0.6))
    index = inference(model, embedder=embedder)
    with prunnet.capacity(model, 0.6), pytest.raises(ValueError, match=r"Found \[0.6, 1.0\]"):
        index.train_knn(GALLERY)


def test_errors_say_what_to_change(model: nn.Module) -> None:
    plain = TinyEmbedder()
    for kwargs in ({}, {"capacity": 0.2}, {"space_id": "id"}):
        with pytest.raises(ValueError, match="`capacity` and `space_id` should be given for a pl"):
            inference(plain, **kwargs)
    with pytest.raises(ValueError, match="`space_id` should be left out for a prunable network"):
        inference(model, space_id="id")
    with pytest.raises(ValueError, match=r"`capacity` should be in \(0, 1\]"):
        inference(model, capacity=2)
    with pytest.raises(ValueError, match="`space_id` should be a text"):
        inference(plain, capacity=1, space_id="")
    stamp = GalleryStamp("id", (1.0,), True, 4)
    with pytest.raises(ValueError, match=r"`capacities` should be in \(0, 1\]"):
        replace(stamp, capacities=(2,))


def test_embeddings_that_are_not_finite_neither_search_nor_get_into_an_index(
    model: nn.Module,
) -> None:
    server = inference(model)
    server.train_knn(GALLERY)
    broken = torch.full_like(GALLERY[:2], torch.nan)
    for use in (server.train_knn, server.add_to_knn, lambda x: server.get_nearest_neighbors(x, 1)):
        with pytest.raises(ValueError, match="should return finite embeddings"):
            use(broken)
    assert server.knn_func.index.ntotal == len(GALLERY)


@pytest.mark.filterwarnings("default::prunnet_pml.InterpolationWarning")
def test_a_capacity_without_statistics_of_its_own_is_warned_of(model: nn.Module) -> None:
    with pytest.warns(prunnet.InterpolationWarning, match=r"Found 0\.1, .* `capacity`"):
        inference(model, capacity=0.1)
