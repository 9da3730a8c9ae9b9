"""PML's trainers on prunable networks: the gradients of every capacity, PML's hooks and logs."""

from __future__ import annotations

import copy
import re
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from networks import TinyEmbedder
from pytorch_metric_learning import losses, miners, trainers
from pytorch_metric_learning.utils.logging_presets import HookContainer
from records import RecordKeeper
from torch import Tensor, nn
from torch.utils.data import SequentialSampler, TensorDataset

import prunnet_pml as prunnet
from prunnet_pml import ConflictAwareOptimizer, Sum
from prunnet_pml.trainers import PrunableMetricLossOnly, PrunableTrainerMixin

CAPACITIES = (1.0, 0.6, 0.3)
NAMES = ["metric_loss", "total_loss", "metric_loss_at_60", "metric_loss_at_30"]
CLASSES, BATCH = 3, 12

of_pml = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")
"""PML's progress bar prints the loss with its graph."""


class PrunableTrainWithClassifier(PrunableTrainerMixin, trainers.TrainWithClassifier):
    pass


class PrunableCascadedEmbeddings(PrunableTrainerMixin, trainers.CascadedEmbeddings):
    pass


class PrunableTwoStreamMetricLoss(PrunableTrainerMixin, trainers.TwoStreamMetricLoss):
    pass


class PrunableDeepAdversarial(PrunableTrainerMixin, trainers.DeepAdversarialMetricLearning):
    pass


def trunk_and_embedder() -> dict[str, nn.Module]:
    trunk = prunnet.make_prunable(TinyEmbedder(), CAPACITIES[1:])
    return {"trunk": trunk, "embedder": nn.Linear(4, 4)}


def metric_loss(models: dict[str, nn.Module], dim: int = 4) -> nn.Module:
    loss = losses.NormalizedSoftmaxLoss(CLASSES, dim)
    return prunnet.CompatibleLoss(loss, nn.ModuleDict(models))


def images(count: int) -> Tensor:
    return torch.randn(count, 1, 8, 8)


def plain_setup() -> dict[str, Any]:
    models = trunk_and_embedder()
    return {
        "models": models,
        "loss_funcs": {"metric_loss": metric_loss(models)},
        "mining_funcs": {"tuple_miner": miners.MultiSimilarityMiner()},
        "loss_weights": {"metric_loss": 0.5},
    }


def classifier_setup() -> dict[str, Any]:
    models = {**trunk_and_embedder(), "classifier": nn.Linear(4, CLASSES)}
    loss_funcs = {"metric_loss": losses.ContrastiveLoss(), "classifier_loss": nn.CrossEntropyLoss()}
    return {"models": models, "loss_funcs": loss_funcs}


def cascaded_setup() -> dict[str, Any]:
    models = {**trunk_and_embedder(), "classifier_1": nn.Linear(2, CLASSES)}
    return {
        "models": models,
        "loss_funcs": {
            "metric_loss_0": metric_loss(models, dim=2),
            "metric_loss_1": losses.TripletMarginLoss(),
            "classifier_loss_1": nn.CrossEntropyLoss(),
        },
        "mining_funcs": {
            f"tuple_miner_{i}": miners.HDCMiner(filter_percentage=0.9) for i in range(2)
        },
        "loss_weights": {"metric_loss_0": 1, "metric_loss_1": 2, "classifier_loss_1": 0.5},
        "embedding_sizes": [2, 2],
    }


def two_stream_setup() -> dict[str, Any]:
    models = trunk_and_embedder()
    loss = losses.TripletMarginLoss(margin=0.5)
    loss = prunnet.CompatibleLoss(loss, models["trunk"], space="embedding")
    labels = torch.arange(2 * BATCH) % CLASSES
    return {
        "models": models,
        "loss_funcs": {"metric_loss": loss},
        "dataset": TensorDataset(images(2 * BATCH), images(2 * BATCH), labels),
    }


def adversarial_setup() -> dict[str, Any]:
    models = {**trunk_and_embedder(), "generator": nn.Linear(12, 4)}
    return {
        "models": models,
        "loss_funcs": {
            "metric_loss": metric_loss(models),
            "synth_loss": losses.TripletMarginLoss(margin=1),
            "g_adv_loss": losses.TripletMarginLoss(margin=1),
        },
        "g_triplets_per_anchor": "all",
    }


KINDS: dict[str, tuple[type, type, Callable[[], dict[str, Any]]]] = {
    "MetricLossOnly": (PrunableMetricLossOnly, trainers.MetricLossOnly, plain_setup),
    "TrainWithClassifier": (
        PrunableTrainWithClassifier,
        trainers.TrainWithClassifier,
        classifier_setup,
    ),
    "CascadedEmbeddings": (
        PrunableCascadedEmbeddings,
        trainers.CascadedEmbeddings,
        cascaded_setup,
    ),
    "TwoStreamMetricLoss": (
        PrunableTwoStreamMetricLoss,
        trainers.TwoStreamMetricLoss,
        two_stream_setup,
    ),
    "DeepAdversarialMetricLearning": (
        PrunableDeepAdversarial,
        trainers.DeepAdversarialMetricLearning,
        adversarial_setup,
    ),
}


def common(setup: dict[str, Any]) -> dict[str, Any]:
    """What every trainer gets: the same batches each time."""
    dataset = TensorDataset(images(2 * BATCH), torch.arange(2 * BATCH) % CLASSES)
    where = {"dataloader_num_workers": 0, "data_device": torch.device("cpu")}
    arguments = {"dataset": dataset, "batch_size": BATCH, **where, **setup}
    arguments["sampler"] = SequentialSampler(arguments["dataset"])
    return arguments


def modules(setup: dict[str, Any]) -> nn.ModuleDict:
    return nn.ModuleDict({**setup["models"], **setup["loss_funcs"]})


def sgd(parameters: Iterable[nn.Parameter], lr: float = 1.0) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr)


def gradients_by_pml(plain: type, setup: dict[str, Any]) -> list[dict[str, Tensor | None]]:
    """Every parameter's gradient at every capacity, by PML's own trainer, one capacity a trainer.

    A subnetwork's loss may compare with the dense network's pass, so all of them share a set-up.
    """
    setup = copy.deepcopy(setup)
    trunk = setup["models"]["trunk"]
    rows = []
    for capacity in CAPACITIES:
        prunnet.set_capacity(trunk, capacity)
        optimizer = sgd(trunk.parameters(), lr=0.0)
        fresh = {**setup, "loss_funcs": dict(setup["loss_funcs"])}
        if "g_adv_loss" in fresh["loss_funcs"]:  # PML negates the margin that it is given
            fresh["loss_funcs"]["g_adv_loss"] = losses.TripletMarginLoss(margin=1)
        modules(setup).zero_grad()
        trainer = plain(optimizers={"trunk_optimizer": optimizer}, **fresh, iterations_per_epoch=1)
        trainer.train()
        for layer in prunnet.scored_layers(trunk).values():
            layer.scores.grad *= layer.weight != 0
        found = {name: p.grad for name, p in modules(setup).named_parameters()}
        rows.append({name: None if g is None else g.clone() for name, g in found.items()})
    return rows


@of_pml
@pytest.mark.parametrize("shared", ["sum", "dense"])
@pytest.mark.parametrize("rest", ["wrapped along", "plain optimizers"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_step_has_the_gradients_that_pml_finds_at_every_capacity(
    kind: str, rest: str, shared: str
) -> None:
    prunable, plain, build = KINDS[kind]
    setup = common(build())
    rows = gradients_by_pml(plain, setup)
    everything = modules(setup)
    before = copy.deepcopy(everything)
    trunk = setup["models"]["trunk"]
    others = {k: v for k, v in everything.items() if k != "trunk" and [*v.parameters()]}
    wrapped = list(everything.parameters() if rest == "wrapped along" else trunk.parameters())
    optimizers = {
        "trunk_optimizer": ConflictAwareOptimizer(
            sgd(wrapped), trunk, Sum(), shared=shared, subnetworks_per_step=None
        )
    }
    if rest == "plain optimizers":
        for name, module in others.items():
            optimizers[f"{name}_optimizer"] = sgd(module.parameters())
    trainer = prunable(optimizers=optimizers, **setup, iterations_per_epoch=1)
    trainer.train()

    scored = {id(p) for layer in prunnet.scored_layers(trunk).values() for p in layer.parameters()}
    moved = 0
    for (name, after), start in zip(
        everything.named_parameters(), before.parameters(), strict=True
    ):
        wanted = rows if id(after) in scored or shared == "sum" else rows[:1]
        if "DeepAdversarial" in kind and rest != "wrapped along" and name.startswith("metric"):
            wanted = []  # PML's own trainer steps the models' optimizers only
        total = sum((row[name] for row in wanted if row[name] is not None), torch.zeros(()))
        expected = start - total
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5, msg=name)
        moved += not torch.equal(after, start)
    assert moved > 8


def batches(setup: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
    images, labels = setup["dataset"].tensors
    return list(zip(images.split(BATCH), labels.split(BATCH), strict=True))


def trainer_of(setup: dict[str, Any], **kwargs: object) -> PrunableMetricLossOnly:
    """A trainer whose one optimizer holds every parameter, of the loss too."""
    trunk = setup["models"]["trunk"]
    optimizer = ConflictAwareOptimizer(
        sgd(modules(setup).parameters(), lr=0.1), trunk, subnetworks_per_step=None
    )
    return PrunableMetricLossOnly(
        **{**setup, "optimizers": {"trunk_optimizer": optimizer}, **kwargs}
    )


def test_a_trainer_ends_where_the_plain_loop_ends() -> None:
    setup = common(plain_setup())
    twin = copy.deepcopy(setup)
    trainer_of(setup).train(num_epochs=2)

    models, loss_func = twin["models"], twin["loss_funcs"]["metric_loss"]
    optimizer = ConflictAwareOptimizer(
        sgd(modules(twin).parameters(), lr=0.1), models["trunk"], subnetworks_per_step=None
    )
    for batch, labels in 2 * batches(twin):
        for _ in optimizer.capacities():
            embeddings = models["embedder"](models["trunk"](batch))
            pairs = twin["mining_funcs"]["tuple_miner"](embeddings, labels)
            (0.5 * loss_func(embeddings, labels, pairs)).backward()
        optimizer.step()
    expected = modules(twin).state_dict()
    found = modules(setup).state_dict()
    assert all(found[key].equal(value) for key, value in expected.items())


def losses_by_hand(setup: dict[str, Any]) -> dict[str, float]:
    """The weighted loss of the first batch at every capacity, before any step."""
    setup = copy.deepcopy(setup)
    (batch, labels), models = setup["dataset"][:BATCH], setup["models"]
    found = {}
    for capacity, name in zip(CAPACITIES, NAMES[:1] + NAMES[2:], strict=True):
        prunnet.set_capacity(models["trunk"], capacity)
        embeddings = models["embedder"](models["trunk"](batch))
        pairs = setup["mining_funcs"]["tuple_miner"](embeddings, labels)
        found[name] = 0.5 * setup["loss_funcs"]["metric_loss"](embeddings, labels, pairs).item()
    return {**found, "total_loss": sum(found.values())}


def test_logs_hold_the_weighted_loss_of_every_capacity_and_their_sum() -> None:
    setup = common(plain_setup())
    expected = losses_by_hand(setup)
    keeper = RecordKeeper()
    hooks = HookContainer(keeper, log_freq=1)
    trainer_of(setup, end_of_iteration_hook=hooks.end_of_iteration_hook).train()
    assert keeper.rows["loss_histories"][0] == pytest.approx(expected, rel=1e-5)
    assert keeper.rows["loss_weights"][0] == {
        **dict.fromkeys(expected, 0.5),
        "total_loss": 1,
    }
    keeper.save_records()
    history = hooks.get_loss_history(NAMES)  # by name, in SQL
    keeper.close()
    assert set(history) == set(NAMES)
    assert [len(values) for values in history.values()] == [2] * len(NAMES)


def test_the_progress_bar_waits_for_no_loss_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU each number that is asked for is a wait until it is there."""

    def refuse(loss: Tensor) -> float:
        raise AssertionError("all losses should come in one copy")

    trainer = trainer_of(common(plain_setup()), iterations_per_epoch=1)
    trainer.end_of_iteration_hook = lambda _: monkeypatch.setattr(Tensor, "__float__", refuse)
    trainer.train()


def test_the_progress_bar_names_every_loss(capsys: pytest.CaptureFixture[str]) -> None:
    setup = common(plain_setup())
    expected = losses_by_hand(setup)
    trainer_of(setup, iterations_per_epoch=1).train()
    last = capsys.readouterr().err.rpartition("\r")[2]
    shown = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", last)}
    assert shown == pytest.approx(expected, abs=1.1e-5)


def test_no_loss_keeps_its_graph_and_one_graph_is_alive_at_a_time() -> None:
    setup = common(plain_setup())
    seen: list[weakref.ref] = []

    def look(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        assert not any(reference() is not None for reference in seen)
        seen.append(weakref.ref(output))

    setup["models"]["embedder"].register_forward_hook(look)

    def at_end(trainer: PrunableMetricLossOnly) -> None:
        assert not any(loss.requires_grad for loss in trainer.losses.values())

    trainer_of(setup, end_of_iteration_hook=at_end).train(num_epochs=2)
    assert len(seen) == 2 * 2 * len(CAPACITIES)


@of_pml
def test_hooks_schedulers_and_clippers_are_called_as_pml_calls_them() -> None:
    def events(trainer_class: type, optimizer: Callable[[dict], Any]) -> list[str]:
        seen: list[str] = []

        class Scheduler:
            def __init__(self, name: str) -> None:
                self.name = name

            def step(self) -> None:
                seen.append(self.name)

        def end_of_epoch(trainer: trainers.BaseTrainer) -> bool | None:
            seen.append(f"epoch {trainer.epoch}, {trainer.losses['total_loss']}")
            return None if trainer.epoch < 2 else False  # None goes on

        setup = common(plain_setup())
        trainer = trainer_class(
            **setup,
            optimizers={"trunk_optimizer": optimizer(setup)},
            lr_schedulers={
                f"trunk_scheduler_by_{when}": Scheduler(when) for when in ("iteration", "epoch")
            },
            gradient_clippers={"trunk_grad_clipper": lambda: seen.append("clip")},
            end_of_iteration_hook=lambda t: seen.append(f"iteration {t.get_global_iteration()}"),
            end_of_epoch_hook=end_of_epoch,
        )
        trainer.train(num_epochs=3)
        return seen

    wrapped = events(
        PrunableMetricLossOnly,
        lambda s: ConflictAwareOptimizer(sgd(modules(s).parameters()), s["models"]["trunk"]),
    )
    assert wrapped == events(trainers.MetricLossOnly, lambda s: sgd(modules(s).parameters()))
    assert wrapped[-1] == "epoch 2, 0"


@pytest.mark.parametrize("optimizers", ["one around both", "one each"])
def test_trunk_and_embedder_may_both_be_prunable(optimizers: str) -> None:
    """At every pass both are at its capacity, and both end where one network would."""
    setup = common(plain_setup())
    models = setup["models"]
    models["embedder"] = prunnet.make_prunable(nn.Linear(4, 4), CAPACITIES[1:])
    twin = copy.deepcopy(setup)
    seen = []

    def look(*_: object) -> None:
        seen.append(tuple(prunnet.get_capacity(model) for model in models.values()))

    models["embedder"].register_forward_hook(look)
    if optimizers == "one each":
        wrapped = {
            f"{name}_optimizer": ConflictAwareOptimizer(
                sgd(model.parameters(), lr=0.1), model, Sum(), subnetworks_per_step=None
            )
            for name, model in models.items()
        }
    else:
        pair = nn.ModuleDict(models)
        wrapped = {
            "trunk_optimizer": ConflictAwareOptimizer(
                sgd(pair.parameters(), 0.1), pair, Sum(), subnetworks_per_step=None
            )
        }
    PrunableMetricLossOnly(**setup, optimizers=wrapped).train()
    assert seen == [(capacity, capacity) for capacity in CAPACITIES] * 2

    both = nn.Sequential(*twin["models"].values())
    optimizer = ConflictAwareOptimizer(
        sgd(both.parameters(), 0.1), both, Sum(), subnetworks_per_step=None
    )
    for batch, labels in batches(twin):
        for _ in optimizer.capacities():
            pairs = twin["mining_funcs"]["tuple_miner"](embeddings := both(batch), labels)
            (0.5 * twin["loss_funcs"]["metric_loss"](embeddings, labels, pairs)).backward()
        optimizer.step()
    for found, expected in zip(
        nn.Sequential(*models.values()).parameters(), both.parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_a_frozen_plain_embedder_stays() -> None:
    setup = common(plain_setup())
    before = copy.deepcopy(setup["models"])
    trainer_of(setup, freeze_these=("embedder",)).train()
    assert setup["models"]["embedder"].weight.equal(before["embedder"].weight)
    assert not setup["models"]["trunk"].head.weight.equal(before["trunk"].head.weight)


def test_the_head_of_a_body_that_was_frozen_before_is_trained() -> None:
    network = TinyEmbedder()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("head"))
    models = {"trunk": prunnet.make_prunable(network, CAPACITIES[1:])}
    setup = common({"models": models, "loss_funcs": {"metric_loss": metric_loss(models)}})
    before = copy.deepcopy(models["trunk"])
    trainer = trainer_of(setup)
    trainer.train()
    assert set(trainer.losses) >= {
        "metric_loss",
        *(f"metric_loss_at_{c * 100:g}" for c in CAPACITIES[1:]),
    }
    assert not models["trunk"].head.weight.equal(before.head.weight)
    assert models["trunk"].conv2.scores.equal(before.conv2.scores)


def test_frozen_batch_norms_keep_the_statistics_of_every_capacity() -> None:
    setup = common(plain_setup())
    norm = setup["models"]["trunk"].bn1
    before = copy.deepcopy(norm.state_dict())
    trainer_of(setup, freeze_trunk_batchnorm=True).train()
    after = norm.state_dict()
    assert all(after[key].equal(before[key]) for key in after if "running" in key)
    assert not after["weight"].equal(before["weight"])


def test_while_the_generator_trains_alone_the_prunable_network_stays() -> None:
    setup = common(adversarial_setup())
    before = copy.deepcopy(setup["models"])
    trunk, generator = setup["models"]["trunk"], setup["models"]["generator"]
    optimizer = ConflictAwareOptimizer(
        sgd(trunk.parameters(), lr=0.1), trunk, subnetworks_per_step=None
    )
    seen: list[dict[str, Any]] = []
    trainer = PrunableDeepAdversarial(
        **setup,
        optimizers={
            "trunk_optimizer": optimizer,
            "generator_optimizer": sgd(generator.parameters(), lr=0.1),
        },
        metric_alone_epochs=1,
        g_alone_epochs=1,
        end_of_iteration_hook=lambda t: seen.append(dict(t.losses)),
    )
    trainer.train()
    assert not trunk.conv1.scores.equal(before["trunk"].conv1.scores)
    assert generator.weight.equal(before["generator"].weight)
    before = copy.deepcopy(setup["models"])
    seen.clear()
    trainer.train(start_epoch=2, num_epochs=2)
    assert trunk.conv1.scores.equal(before["trunk"].conv1.scores)
    assert not generator.weight.equal(before["generator"].weight)
    assert len(seen) == 2
    for found in seen:  # nothing of the epoch before
        assert found["g_reg_loss"] > 0
        assert not any(float(loss) for name, loss in found.items() if "_at_" in name)
    trainer.train(start_epoch=3, num_epochs=3)
    assert not trunk.conv1.scores.equal(before["trunk"].conv1.scores)


def test_errors_say_what_to_change() -> None:
    setup = common(plain_setup())
    trunk = setup["models"]["trunk"]
    optimizer = ConflictAwareOptimizer(sgd(trunk.parameters()), trunk)
    other = prunnet.make_prunable(nn.Linear(4, 4), (0.5,))

    def build(**kwargs: object) -> None:
        arguments = {**setup, "optimizers": {"trunk_optimizer": optimizer}, **kwargs}
        PrunableMetricLossOnly(**arguments)

    with pytest.raises(ValueError, match="`models` should hold a prunable network"):
        build(models={"trunk": TinyEmbedder()})
    with pytest.raises(ValueError, match="Found none around 'trunk'"):
        build(optimizers={"trunk_optimizer": sgd(trunk.parameters())})
    with pytest.raises(ValueError, match="Found none around 'embedder'"):
        build(models={"trunk": trunk, "embedder": other})
    with pytest.raises(ValueError, match=r"`freeze_these` should .* Found \['trunk'\]"):
        build(freeze_these=("trunk",))
    with pytest.raises(ValueError, match=r"`freeze_these` should .* Found \['embedder'\]"):
        build(freeze_these=("embedder",), optimizers={"embedder_optimizer": optimizer})
    second = ConflictAwareOptimizer(sgd(other.parameters()), other)
    with pytest.raises(ValueError, match=r"should agree in trained capacities\. Found"):
        build(
            models={"trunk": trunk, "embedder": other},
            optimizers={"trunk_optimizer": optimizer, "embedder_optimizer": second},
        )
    like_it = prunnet.make_prunable(nn.Linear(4, 4), prunnet.trained_capacities(trunk))
    pair = {"trunk": trunk, "embedder": like_it}
    wrapped = ("trunk_optimizer", "embedder_optimizer")
    drawing = [
        ConflictAwareOptimizer(sgd(m.parameters()), m, subnetworks_per_step=1, seed=seed)
        for seed, m in enumerate(pair.values())
    ]
    with pytest.raises(ValueError, match=r"agree in `seed`, by which .* Found 0 and 1"):
        build(models=pair, optimizers=dict(zip(wrapped, drawing, strict=True)))
    drawing = [
        ConflictAwareOptimizer(sgd(m.parameters()), m, between=between)
        for between, m in zip((0.0, 0.5), pair.values(), strict=True)
    ]
    with pytest.raises(ValueError, match=r"agree in `between`\. Found 0\.0 and 0\.5"):
        build(models=pair, optimizers=dict(zip(wrapped, drawing, strict=True)))


def test_optimizers_that_draw_otherwise_are_no_step() -> None:
    """One of them has taken a step without the other."""
    setup = common(plain_setup())
    trunk = setup["models"]["trunk"]
    embedder = prunnet.make_prunable(nn.Linear(4, 4), prunnet.trained_capacities(trunk))
    models = {"trunk": trunk, "embedder": embedder}
    optimizers = {
        f"{name}_optimizer": ConflictAwareOptimizer(
            sgd(model.parameters()), model, subnetworks_per_step=1, dense_steps=1
        )
        for name, model in models.items()
    }
    trainer = PrunableMetricLossOnly(**{**setup, "models": models}, optimizers=optimizers)
    ahead = optimizers["trunk_optimizer"]
    for _ in ahead.capacities():
        trunk(torch.randn(4, 1, 8, 8)).sum().backward()
    ahead.step()
    with pytest.raises(RuntimeError, match=r"one seed, and as many steps .* Found \(1\.0,\) and"):
        trainer.train()


@pytest.mark.parametrize("between", [0, 0.9])
def test_capacities_that_a_step_leaves_out_have_no_loss(between: float) -> None:
    """And one between two trained ones is logged as the larger."""
    setup = common(plain_setup())
    trunk = setup["models"]["trunk"]
    optimizer = ConflictAwareOptimizer(sgd(trunk.parameters()), trunk, between=between)
    seen: list[dict[str, float]] = []
    trainer = PrunableMetricLossOnly(
        **setup,
        optimizers={"trunk_optimizer": optimizer},
        end_of_iteration_hook=lambda t: seen.append({n: float(v) for n, v in t.losses.items()}),
    )
    trainer.train(num_epochs=2)
    assert len(seen) > 2
    for found in seen:
        drawn = [name for name, loss in found.items() if "_at_" in name and loss != 0]
        assert len(drawn) == 1
        total = found["metric_loss"] + found[drawn[0]]
        assert found["total_loss"] == pytest.approx(total, rel=1e-5)
