"""The methods to compare with: each trains a whole family, and each is what its name says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace

import few_glyphs
import pytest
import timm
import torch
from pytorch_metric_learning.losses import SupConLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.budgets.counting import count_macs
from prunnet_pml.demo.recipe import Recipe, train_prunable
from prunnet_pml.slimmable import make_slimmable, narrowed

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    from measure import TrainingBook
    from methods import METHODS, VARIANTS
    from methods.ablations import BASES, FACTORS, name_of, values_of
    from methods.prunable import batches_of_steps
    from methods.settings import Settings
    from methods.subnetwork_loss import subnetwork_loss
    from tasks import CAPACITIES, MEASURED, TASKS, MobileNetTask, ResNetTask
finally:
    sys.path.remove(str(BENCHMARKS))

TRAINED = [1.0, *CAPACITIES]
FEW_UNITS = {
    "independent-macs",
    "slimmable",
    "torch-pruning",
    "prunnet-channel",
    "granularity=channel-multiples-of-8",
    "channel-capacities-per-step=20-and-1-drawn",
}
"""Where networks of four to sixteen channels come out the same for several capacities."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the methods of this page keep their trainings: the dense one is the same for all."""
    return tmp_path_factory.mktemp("trained")


def family_of(name: str, task: object, store: Path | None = None) -> dict[float, nn.Module]:
    if name == "torchjd-cagrad":
        pytest.importorskip("cvxpy")
    return (METHODS | VARIANTS)[name].train(task, TrainingBook(task, store))


def embedded(network: nn.Module, images: Tensor) -> Tensor:
    assert not network.training
    with torch.no_grad():
        return network(images)


CHANGED = [name_of(factor, list(values)[-1]) for factor, values in FACTORS.items()]
CHANGED.append("channel-capacities-per-step=20-and-1-drawn")
"""Of every factor one value, and one of granularity "channel"."""


@pytest.mark.parametrize("name", [*METHODS, *(name for name in CHANGED if name in VARIANTS)])
def test_a_family_has_a_network_of_its_own_for_every_capacity(
    name: str, task: SimpleNamespace, store: Path
) -> None:
    family = family_of(name, task, store)
    assert list(family) in (TRAINED, list(MEASURED)) or name == "dense-longer"
    found = [embedded(network, task.example(4)) for network in family.values()]
    assert all(e.shape == (4, 128) and e.isfinite().all() for e in found)
    if name not in FEW_UNITS:
        assert not any(torch.equal(one, other) for one, other in combinations(found, 2))


@pytest.mark.parametrize("positives", ["class", "image"])
def test_other_positives_of_the_contrast_are_those_of_supcon(
    task: SimpleNamespace, positives: str
) -> None:
    """The dense pass is the class loss alone; a subnetwork's has the contrast that PML computes."""
    model = prunnet.make_prunable(task.network())
    loss_func = subnetwork_loss(task, model, Settings(alignment=0, contrast=2, positives=positives))
    dense, masked = torch.randn(2, 12, 128)
    labels = torch.arange(12) % 3
    classes = loss_func.rest.loss
    assert torch.equal(loss_func(dense, labels), classes(dense, labels))
    with prunnet.capacity(model, 0.4):
        found = loss_func(masked, labels)
    groups = labels if positives == "class" else torch.arange(12)
    supcon = SupConLoss(0.05, reducer=MeanReducer())
    contrast = supcon(masked, groups, ref_emb=dense, ref_labels=groups.clone())
    torch.testing.assert_close(found, classes(masked, labels) + 2 * contrast)


def test_a_longer_budget_has_the_same_images(task: SimpleNamespace) -> None:
    longer = task.in_times_the_steps(2.5)
    assert longer.recipe.steps == round(2.5 * task.recipe.steps)
    assert (longer.train, longer.test) == (task.train, task.test)
    batches = {len(list(t.batches(""))) for t in (task, longer)}
    assert batches == {task.recipe.steps, longer.recipe.steps}


@pytest.mark.parametrize(
    ("name", "steps", "passes"),
    [
        ("prunnet-own-batches", 2, 5),
        ("default-batches-of-a-step=one-for-each", 5, 2),
        ("default-batches-of-a-step=the-one-before", 5, 1),
        ("prunnet-default", 5, 1),
    ],
)
def test_as_many_batches_are_loaded_as_are_asked_for(
    task: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, name: str, steps: int, passes: int
) -> None:
    """And learning rates fall over as many as there are."""
    taken: list[int] = []
    batches = type(task).batches

    def counted(task: SimpleNamespace, title: str) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches(task, title):
            taken.append(task.recipe.steps)
            yield batch

    monkeypatch.setattr(type(task), "batches", counted)
    family_of(name, task)
    assert taken == [steps * passes] * (steps * passes)


def test_subnetworks_have_the_batch_of_the_step_before(task: SimpleNamespace) -> None:
    settings = Settings(batches="the one before")
    steps = [
        [next(batches) for _ in range(3)]
        for batches in batches_of_steps(task.in_times_the_steps(2), settings)
    ]
    assert len(steps) == 4
    assert all(batch is steps[0][0] for batch in steps[0])
    for (before, *_), (now, *of_subnetworks) in pairwise(steps):
        assert all(batch is before and batch is not now for batch in of_subnetworks)


def test_every_factor_has_a_method_among_its_values() -> None:
    """What one factor at a time is changed of."""
    for base in BASES:
        for factor in FACTORS:
            names = values_of(factor, base).values()
            assert base in names or not names, factor


def test_the_default_is_what_the_demo_trains(task: SimpleNamespace) -> None:
    family = family_of("prunnet-default", task)
    model = train_prunable(task.train, task.in_times_the_steps(2.5).recipe)
    prunnet.calibrate(model, task.calibration_images(), MEASURED)  # as the demo's comparison does
    for capacity in MEASURED:
        with prunnet.capacity(model, capacity):
            found = embedded(family[capacity], task.example(4))
            assert torch.equal(found, embedded(model, task.example(4)))


def test_separate_networks_match_in_parameters() -> None:
    """Widths times sqrt(c): about c of the weights of wide layers."""
    wide = ResNetTask("few-glyphs", few_glyphs.FewGlyphs, Recipe())
    dense, *others = (
        sum(p.numel() for name, p in wide.network(c**0.5).named_parameters() if "fc" not in name)
        for c in TRAINED
    )
    for capacity, count in zip(CAPACITIES, others, strict=True):
        assert count / dense == pytest.approx(capacity, abs=0.04)


@pytest.mark.parametrize(("name", "millions"), [("glyphs-resnet18", 11.3), ("glyphs-vit", 22.2)])
def test_backbones_for_a_gpu_are_of_full_width(name: str, millions: float) -> None:
    task = TASKS[name](3, 0, None)
    dense, small = (
        sum(p.numel() for p in task.network(width).parameters()) for width in (1, 0.2**0.5)
    )
    assert dense / 1e6 == pytest.approx(millions, abs=0.1)
    assert small / dense == pytest.approx(0.2, abs=0.02)


def test_all_that_a_task_gives_lies_on_its_device() -> None:
    task = ResNetTask("few-glyphs", few_glyphs.FewGlyphs, Recipe(steps=1))
    task.device = torch.device("meta")
    found = [
        *task.network().parameters(),
        *task.loss().parameters(),
        *task.calibration_images(),
        *next(task.batches("meta")),
        task.example(2),
    ]
    assert {tensor.device.type for tensor in found} == {"meta"}


def test_networks_of_equal_macs_are_so() -> None:
    """Torch-Pruning's and the separate ones against granularity "channel", at full width."""
    from methods.channel_sizes import channel_macs, widths_of_channels
    from methods.torch_pruning import _hidden_layers, _pruned_to

    wide = ResNetTask("few-glyphs", few_glyphs.FewGlyphs, Recipe())
    hidden, dense = _hidden_layers(wide), wide.network()
    widths = widths_of_channels(wide, wide.network)
    for capacity, wanted in channel_macs(wide, (0.8, 0.2)).items():
        pruned = _pruned_to(wide, dense, hidden, capacity, wanted)
        assert count_macs(pruned, wide.input_size) == pytest.approx(wanted, rel=0.06)
        width = widths[capacity]
        found, narrower = (
            count_macs(wide.network(w), wide.input_size) for w in (width, width - 0.01)
        )
        assert narrower < wanted <= found <= 1.1 * wanted


def test_slimmable_widths_multiply_no_less_than_hidden_units() -> None:
    """Nor more than a percent of the width can make, at full width."""
    from methods.channel_sizes import channel_macs
    from methods.slimmable_widths import widths_of_slimmable

    wide = ResNetTask("few-glyphs", few_glyphs.FewGlyphs, Recipe())
    shares = widths_of_slimmable(wide)
    network = make_slimmable(wide.network(), (1.0, *shares.values()))
    for capacity, wanted in channel_macs(wide, CAPACITIES).items():
        narrow = narrowed(network, shares[capacity], wide.example(2))
        assert wanted <= count_macs(narrow, wide.input_size) <= 1.1 * wanted


def test_norm_statistics_are_those_asked_for(task: SimpleNamespace, store: Path) -> None:
    """The same weights, four ways to read them."""
    means = {}
    for norms in ("own", "calibrated", "interpolated", "dense"):
        name = name_of("norm statistics", norms)
        family = family_of(name, task, store)
        means[norms] = {c: network.bn1.running_mean for c, network in family.items()}
    assert torch.equal(means["dense"][0.4], means["own"][1.0])
    between = (means["own"][0.6] + means["own"][0.2]) / 2
    torch.testing.assert_close(means["interpolated"][0.4], between)
    for capacity in (1.0, 0.4):
        assert not torch.equal(means["calibrated"][capacity], means["own"][capacity])
    assert torch.equal(means["calibrated"][0.1], means["own"][0.1])


def test_slimmable_networks_are_unavailable_where_layers_have_groups() -> None:
    mobilenet = MobileNetTask(2, 0, data=few_glyphs.FewGlyphs)
    mobilenet.build = lambda width: nn.Sequential(nn.Conv2d(4, 4, 1, groups=2))
    with pytest.raises(ValueError, match="without bias and groups"):
        family_of("sfsc", mobilenet)


def test_tasks_describe_themselves_without_their_data() -> None:
    described = [TASKS[name](3, 1, None).describe() for name in TASKS]
    longer = {"glyphs-longer": 15, "fashion-mnist-longer": 15, "glyphs-mobilenet-longer": 6}
    steps = {**longer, "glyphs-resnet18": 10, "glyphs-vit": 5}
    assert [d["steps"] for d in described] == [steps.get(name, 3) for name in TASKS]
    assert all(d["seed"] == 1 for d in described)
    assert len({str(d) for d in described}) == len(TASKS)


def test_the_pretrained_backbone_has_its_own_images_and_learning_rates(tmp_path: Path) -> None:
    """From a file of weights as ImageNet's would be."""
    weights = tmp_path / "mobilenet.pt"
    torch.save(timm.create_model("mobilenetv2_100", num_classes=0).state_dict(), weights)
    asked = []

    def smaller(split: str, size: int, **arguments: object) -> few_glyphs.FewGlyphs:
        asked.append(size)
        return few_glyphs.FewGlyphs(split, **arguments)

    mobilenet = MobileNetTask(1, 0, weights, smaller)
    described = mobilenet.describe()
    assert described != MobileNetTask(1, 0).describe()  # timm's weights are another start
    weights.write_bytes(weights.read_bytes() + b" ")
    assert described != mobilenet.describe()
    images, labels = next(mobilenet.batches("one"))
    assert images.shape == (48, 3, 32, 32)
    assert mobilenet.test[0][0].shape == (3, 32, 32)
    assert asked == [64, 64]
    model, loss_func = prunnet.make_prunable(mobilenet.network()), mobilenet.loss()
    groups = mobilenet.optimizer(model, loss_func).param_groups
    scores = {id(score) for score in prunnet.score_parameters(model)}
    assert scores < {id(parameter) for parameter in groups[1]["params"]}
    assert [group["lr"] for group in groups] == [2e-3, 1e-2, 1e-1]
    assert loss_func(model(images[:4]), labels[:4]).isfinite()
    narrow = mobilenet.network(0.2**0.5)
    size = images.shape[1:]
    assert count_macs(narrow, size) < 0.4 * count_macs(model, size)
