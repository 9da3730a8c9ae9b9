"""Making a network prunable, and reading it at a capacity."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import timm
import torch
from networks import TinyEmbedder, batch_norms, build, expected_keys, images, snapshot
from torch import Tensor, nn

import prunnet_pml as prunnet
from prunnet_pml.layers import ScoredLayer


@pytest.fixture
def model() -> nn.Module:
    return prunnet.make_prunable(TinyEmbedder()).eval()


@pytest.fixture
def batch() -> Tensor:
    return torch.randn(4, 1, 8, 8)


def kept(layer: nn.Module) -> Tensor:
    return layer.weight.detach() != 0


def test_make_prunable_returns_the_network_itself() -> None:
    plain = TinyEmbedder()
    parameters = dict(plain.named_parameters())
    model = prunnet.make_prunable(plain)
    assert model is plain
    assert isinstance(model, TinyEmbedder)
    after = dict(model.named_parameters())
    assert all(after[name] is parameter for name, parameter in parameters.items())


def test_a_new_network_is_dense(model: nn.Module) -> None:
    assert prunnet.get_capacity(model) == 1
    assert prunnet.trained_capacities(model) == (0.8, 0.6, 0.4, 0.2)
    assert all(kept(layer).all() for layer in prunnet.scored_layers(model).values())


def test_the_embedding_head_is_not_scored(model: nn.Module) -> None:
    assert list(prunnet.scored_layers(model)) == ["conv1", "conv2"]


def test_the_head_of_a_timm_trunk_inside_a_bigger_module_is_not_scored() -> None:
    trunk = timm.create_model("test_resnet", num_classes=8)
    model = prunnet.make_prunable(nn.Sequential(trunk, nn.Linear(8, 4)))
    scored = prunnet.scored_layers(model)
    assert "0.fc" not in scored
    assert "1" in scored
    assert {name.removeprefix("0.") for name in scored if name != "1"} == {
        key.removesuffix(".scores")
        for key in expected_keys(timm.create_model("test_resnet", num_classes=8))
        if key.endswith(".scores")
    }


def test_a_head_of_several_layers_is_not_scored() -> None:
    """timm's get_classifier may return a tuple, and a head may be a module of layers."""

    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.one = nn.Linear(4, 4), nn.Linear(4, 2)
            self.other = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

        def get_classifier(self) -> tuple[nn.Module, nn.Module]:
            return self.one, self.other

    assert list(prunnet.scored_layers(prunnet.make_prunable(TwoHeads()))) == ["body"]


class Separable(nn.Module):
    """Convolutions that read one channel, some, and all, and a gray image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3)
        self.depthwise = nn.Conv2d(8, 16, 3, groups=8)
        self.grouped = nn.Conv2d(16, 16, 3, groups=4)
        self.pointwise = nn.Conv2d(16, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.pointwise(self.grouped(self.depthwise(self.stem(images)))).mean((2, 3))


def test_depthwise_convolutions_stay_whole() -> None:
    model = prunnet.make_prunable(Separable())
    assert list(prunnet.scored_layers(model)) == ["stem", "grouped", "pointwise"]
    pruned = prunnet.prune(model, 0.2)
    assert torch.equal(pruned.depthwise.weight, model.depthwise.weight)


def test_depthwise_convolutions_are_pruned_if_they_are_asked_for() -> None:
    model = prunnet.make_prunable(Separable(), score_depthwise=True)
    assert list(prunnet.scored_layers(model)) == ["stem", "depthwise", "grouped", "pointwise"]
    pruned = prunnet.prune(model, 0.2)
    assert (pruned.depthwise.weight != 0).sum() == 30  # of 144, all kept but round(0.8 * 143)


@pytest.mark.parametrize("score_depthwise", [False, True])
def test_filter_fn_and_score_depthwise_both_have_to_be_true(score_depthwise: bool) -> None:
    model = prunnet.make_prunable(
        Separable(),
        filter_fn=lambda _, name: name in ("depthwise", "pointwise"),
        score_depthwise=score_depthwise,
    )
    chosen = ["depthwise", "pointwise"] if score_depthwise else ["pointwise"]
    assert list(prunnet.scored_layers(model)) == chosen


def test_filter_fn_chooses_by_module_and_name() -> None:
    seen = {}

    def last(module: nn.Module, name: str) -> bool:
        seen[name] = type(module)
        return name in ("conv2", "head")

    model = prunnet.make_prunable(TinyEmbedder(), filter_fn=last)
    assert seen == {"conv1": nn.Conv2d, "conv2": nn.Conv2d, "head": nn.Linear}
    assert list(prunnet.scored_layers(model)) == ["conv2", "head"]


def test_magnitude_scores_make_the_magnitude_pruned_network(
    model: nn.Module, batch: Tensor
) -> None:
    by_hand = TinyEmbedder().eval()
    by_hand.load_state_dict(
        {k: v for k, v in model.state_dict().items() if k in by_hand.state_dict()}
    )
    with torch.no_grad():
        for layer in (by_hand.conv1, by_hand.conv2):
            magnitudes = layer.weight.abs().flatten().sort().values
            threshold = magnitudes[round(0.6 * (len(magnitudes) - 1))]
            layer.weight[layer.weight.abs() < threshold] = 0
        with prunnet.capacity(model, 0.4):
            assert torch.equal(model(batch), by_hand(batch))


def test_uniform_scores_are_drawn_from_the_generator() -> None:
    one, same, other = (
        prunnet.make_prunable(
            TinyEmbedder(),
            initial_scores="uniform",
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(one.conv2.scores, same.conv2.scores)
    assert not torch.equal(one.conv2.scores, other.conv2.scores)
    assert one.conv2.scores.abs().max() <= 54**-0.5


def test_biases_are_scored_on_request(batch: Tensor) -> None:
    model = prunnet.make_prunable(TinyEmbedder(), score_bias=True)
    assert "conv2.bias_scores" in model.state_dict()
    assert len(prunnet.score_parameters(model)) == 3
    prunnet.set_capacity(model, 0.2)
    assert (model.conv2.bias != 0).sum() == 2  # of 8


def test_score_parameters_are_the_scores_only(model: nn.Module) -> None:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [names[id(parameter)] for parameter in prunnet.score_parameters(model)]
    assert found == ["conv1.scores", "conv2.scores"]


def test_reset_scores_starts_from_the_weights_of_now(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    prunnet.set_capacity(model, 0.2)
    before = kept(model.conv2)
    prunnet.reset_scores(model)
    assert not torch.equal(kept(model.conv2), before)
    weights = model.conv2._parameters["weight"].detach().abs()
    assert weights[kept(model.conv2)].min() > weights[~kept(model.conv2)].max()


def test_masks_follow_scores_that_were_written_through_data(model: nn.Module) -> None:
    """As mmengine's EMAHook and others swap weights: no version counter sees it."""
    prunnet.set_capacity(model, 0.2)
    before = kept(model.conv2)
    model.conv2.scores.data.copy_(torch.rand_like(model.conv2.scores))
    model.eval()
    assert int(kept(model.conv2).sum()) == int(before.sum())
    assert not torch.equal(kept(model.conv2), before)
    assert torch.equal(kept(model.conv2), prunnet.prune(model, 0.2).conv2.weight != 0)


def test_a_plain_checkpoint_without_scores_warns_until_they_are_reset(model: nn.Module) -> None:
    plain = TinyEmbedder()
    with pytest.warns(
        UserWarning, match=r"2 \(`conv1\.weight`, `conv2\.weight`\): the scores of Tiny"
    ):
        model.load_state_dict(plain.state_dict(), strict=False)
    bigger = nn.ModuleDict({"trunk": model})
    with pytest.warns(UserWarning, match="`trunk.conv1.weight`"):
        bigger.load_state_dict(nn.ModuleDict({"trunk": plain}).state_dict(), strict=False)
    prunnet.reset_scores(model)
    weights = plain.conv2.weight.abs()
    prunnet.set_capacity(model, 0.2)
    assert weights[kept(model.conv2)].min() > weights[~kept(model.conv2)].max()


def test_a_network_with_its_own_loading_keeps_it() -> None:
    class Own(TinyEmbedder):
        def load_state_dict(self, state_dict: dict[str, Tensor], strict: bool = True) -> object:
            return super().load_state_dict(state_dict, strict)

    model = prunnet.make_prunable(Own())
    state = {name: value + 1 for name, value in model.state_dict().items()}
    state["bn1.norm_capacities"] = state["bn2.norm_capacities"] = model.bn1.norm_capacities
    model.load_state_dict(state)
    assert torch.equal(model.conv1.scores, state["conv1.scores"])


def test_what_is_no_state_dict_is_left_to_torch(model: nn.Module) -> None:
    with pytest.raises(TypeError, match="state_dict to be dict-like"):
        model.load_state_dict([1])


@pytest.mark.parametrize("name", ["capacity", "scores", "multiple"])
def test_a_layer_with_an_attribute_that_scores_need_is_refused(name: str) -> None:
    plain = TinyEmbedder()
    setattr(plain.conv2, name, 7)
    with pytest.raises(ValueError, match=f"`conv2` should have no attribute `{name}`"):
        prunnet.make_prunable(plain)
    assert type(plain.conv1) is nn.Conv2d
    prunnet.make_prunable(plain, filter_fn=lambda _, layer: layer == "conv1")
    assert getattr(plain.conv2, name) == 7


def test_data_parallel_replicas_are_refused(model: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="Use DistributedDataParallel"):
        model.conv1._replicate_for_data_parallel()


def test_set_capacity_lasts_and_changes_no_state(model: nn.Module, batch: Tensor) -> None:
    before = snapshot(model)
    dense = model(batch)
    prunnet.set_capacity(model, 0.2)
    assert prunnet.get_capacity(model) == 0.2
    masked = model(batch)
    assert torch.equal(model(batch), masked)
    assert not torch.equal(masked, dense)
    prunnet.set_capacity(model, 1)
    assert torch.equal(model(batch), dense)
    state = model.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[key], before[key]) for key in before)


def test_capacity_restores_the_last_one_whatever_happens(model: nn.Module) -> None:
    prunnet.set_capacity(model, 0.8)
    with prunnet.capacity(model, 0.4):
        assert prunnet.get_capacity(model) == 0.4
        with prunnet.capacity(model, 0.2):
            assert prunnet.get_capacity(model) == 0.2
        assert prunnet.get_capacity(model) == 0.4
    with pytest.raises(KeyError), prunnet.capacity(model, 0.2):
        raise KeyError
    assert prunnet.get_capacity(model) == 0.8


def test_capacity_restores_every_part_of_a_bigger_module() -> None:
    both = nn.ModuleList([prunnet.make_prunable(TinyEmbedder()) for _ in range(2)])
    prunnet.set_capacity(both[0], 0.2)
    with prunnet.capacity(both, 0.4):
        assert [prunnet.get_capacity(part) for part in both] == [0.4, 0.4]
    assert [prunnet.get_capacity(part) for part in both] == [0.2, 1.0]
    assert {norm.capacity for norm in batch_norms(both[0]).values()} == {0.2}


@pytest.mark.parametrize("almost", [1 - 0.8, 0.1 + 0.1, float(torch.tensor(0.2))])
def test_rounding_does_not_make_another_capacity(model: nn.Module, almost: float) -> None:
    """``1 - 0.8`` is 0.19999999999999996, and would read as untrained."""
    prunnet.set_capacity(model, almost)
    assert prunnet.get_capacity(model) == 0.2


def test_is_prunable(model: nn.Module) -> None:
    assert prunnet.is_prunable(model)
    assert prunnet.is_prunable(nn.Sequential(model, nn.ReLU()))
    assert not prunnet.is_prunable(TinyEmbedder())


def test_a_single_layer_is_a_network_too() -> None:
    layer = prunnet.make_prunable(nn.Linear(10, 10))
    prunnet.set_capacity(layer, 0.2)
    assert int(kept(copy.deepcopy(layer)).sum()) == 21
    assert type(prunnet.prune(layer, 0.2)) is nn.Linear


def test_a_state_dict_travels(model: nn.Module, batch: Tensor) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    twin = prunnet.make_prunable(TinyEmbedder()).eval()
    twin.load_state_dict(model.state_dict())
    for capacity in (1.0, 0.6, 0.3):
        with prunnet.capacity(model, capacity), prunnet.capacity(twin, capacity):
            assert torch.equal(twin(batch), model(batch))


@pytest.mark.parametrize("assign", [False, True])
def test_a_checkpoint_brings_its_masks(model: nn.Module, batch: Tensor, assign: bool) -> None:
    """Even while the network is set to a capacity, and its masks are known."""
    other = prunnet.make_prunable(TinyEmbedder()).eval()
    for network in (model, other):
        prunnet.set_capacity(network, 0.2)
        network(batch)
    model.load_state_dict(other.state_dict(), assign=assign)
    assert torch.equal(model(batch), other(batch))


def test_a_half_precision_network_keeps_its_capacities(model: nn.Module, batch: Tensor) -> None:
    prunnet.set_capacity(model, 0.6)
    model(batch)
    model.bfloat16()
    assert model(batch.bfloat16()).dtype == torch.bfloat16
    twin = prunnet.make_prunable(TinyEmbedder())
    twin.load_state_dict(model.state_dict())
    assert twin.bn1.set_capacities == (0.8, 0.6, 0.4, 0.2)


def test_what_inference_mode_found_serves_training(model: nn.Module, batch: Tensor) -> None:
    with torch.inference_mode():
        prunnet.set_capacity(model, 0.2)
        expected = model(batch)
    out = model(batch)
    assert torch.equal(out, expected)
    out.sum().backward()
    assert model.conv1.scores.grad is not None


def test_averaged_weights_are_masked_by_averaged_scores(model: nn.Module, batch: Tensor) -> None:
    """As an EMA of the training network is."""
    averaged = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)
    averaged.update_parameters(model)
    prunnet.set_capacity(averaged, 0.4)
    averaged(batch)
    with torch.no_grad():
        for scores in prunnet.score_parameters(model):
            scores.copy_(torch.rand_like(scores) * 9)
    averaged.update_parameters(model)
    layer = averaged.module.conv2
    threshold = layer.scores.abs()[kept(layer)].min()
    assert torch.equal(kept(layer), layer.scores.abs() >= threshold)
    assert prunnet.scored_layers(averaged)["module.conv2"].capacity == 0.4
    assert averaged.module.bn1.set_capacities == (0.8, 0.6, 0.4, 0.2)


def test_functional_call_masks_by_the_scores_it_is_given(model: nn.Module, batch: Tensor) -> None:
    other = prunnet.make_prunable(TinyEmbedder()).eval()
    for network in (model, other):
        prunnet.set_capacity(network, 0.2)
        network(batch)
    given = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    assert torch.equal(torch.func.functional_call(model, given, batch), other(batch))


def test_tied_weights_are_masked_by_the_scores_of_each_layer() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(6, 6), nn.Linear(6, 6)
            self.other.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.other(self.one(x).relu())

    model = prunnet.make_prunable(Tied())
    with torch.no_grad():
        model.other.scores.copy_(torch.rand(6, 6))
    x = torch.randn(3, 6)
    prunnet.set_capacity(model, 0.4)
    expected = model(x)
    assert not torch.equal(kept(model.one), kept(model.other))
    expected.sum().backward()
    assert model.one._parameters["weight"] is model.other._parameters["weight"]
    assert model.one._parameters["weight"].grad is not None
    pruned = prunnet.prune(model, 0.4)
    torch.testing.assert_close(pruned(x), expected)


COMPILED = [
    pytest.param(name, marks=[] if name == "tiny" else pytest.mark.slow)
    for name in ("tiny", "hand-written", "test_resnet", "test_vit")
]


def network_and_images(name: str) -> tuple[nn.Module, Tensor]:
    if name == "tiny":
        return prunnet.make_prunable(TinyEmbedder()).eval(), torch.randn(4, 1, 8, 8)
    return prunnet.make_prunable(build(name)), images(name)


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_prunable_network_follows_the_capacity(name: str) -> None:
    """Also after the scores moved, and back at a capacity that was compiled before."""
    model, batch = network_and_images(name)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")

    def check(capacity: float) -> None:
        prunnet.set_capacity(model, capacity)
        torch.testing.assert_close(compiled(batch), model(batch), rtol=1e-4, atol=1e-5)

    with torch.no_grad():
        check(0.6)
        check(0.2)
        for scores in prunnet.score_parameters(model):
            scores.copy_(torch.rand_like(scores))
        check(0.6)
        check(1.0)
    torch.compiler.reset()


def assert_trains_alike(
    model: nn.Module, compiled: Callable, eager: nn.Module, batch: Tensor
) -> None:
    """One backward each, at the capacity that both are at."""
    for network, run in ((model, compiled), (eager, eager)):
        network.zero_grad()
        torch.manual_seed(0)  # dropout
        run(batch).square().sum().backward()
    for (key, one), other in zip(model.named_parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4, msg=key)
    for (key, one), other in zip(model.named_buffers(), eager.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=key)


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_prunable_network_trains(name: str) -> None:
    model, batch = network_and_images(name)
    eager = copy.deepcopy(model.train())
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for value in (1.0, 0.4):
        prunnet.set_capacity(model, value)
        prunnet.set_capacity(eager, value)
        assert_trains_alike(model, compiled, eager, batch)
    torch.compiler.reset()


@pytest.mark.parametrize("name", ["tiny", "test_resnet"])
def test_a_compiled_network_trains_untrained_capacities_in_two_graphs(name: str) -> None:
    """Drawn between trained ones, none is the same twice: after the first all are one graph."""
    model, batch = network_and_images(name)
    eager = copy.deepcopy(model.train())
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch._dynamo.utils.counters.clear()
    for value in (0.5, 0.31, 0.57, 0.43, 0.75):
        prunnet.set_capacity(model, value)
        prunnet.set_capacity(eager, value)
        assert_trains_alike(model, compiled, eager, batch)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
    torch.compiler.reset()


@pytest.mark.parametrize("moment", ["train", "eval", "load_state_dict", "reset_scores"])
def test_a_compiled_network_at_a_fixed_capacity_sees_scores_that_moved(moment: str) -> None:
    """A compiled forward reads the masks that were found last: these find them anew."""
    model, batch = network_and_images("tiny")
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    prunnet.set_capacity(model, 0.4)
    with torch.no_grad():
        compiled(batch)
        other = copy.deepcopy(model)
        for scores in prunnet.score_parameters(other):
            scores.copy_(torch.rand_like(scores))
        if moment == "load_state_dict":
            model.load_state_dict(other.state_dict())
        else:
            for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
                mine.copy_(theirs)
            for network in (model, other):
                if moment == "reset_scores":
                    prunnet.reset_scores(network)
                else:
                    getattr(network, moment)()
        torch.testing.assert_close(compiled(batch), other(batch), rtol=1e-4, atol=1e-5)
    torch.compiler.reset()


def test_copies_of_a_layer_share_one_class() -> None:
    """One class per original class, however many layers: a compiler guards on it."""
    layers = list(prunnet.scored_layers(prunnet.make_prunable(TinyEmbedder())).values())
    assert type(layers[0]) is type(layers[1])
    assert all(isinstance(layer, ScoredLayer) for layer in layers)


def test_a_checkpoint_that_holds_no_tensor_changes_nothing(model: nn.Module) -> None:
    before = snapshot(model)
    other = {key: value + 1 for key, value in model.state_dict().items()}
    other["head.bias"] = other["head.bias"].numpy()
    with pytest.raises(ValueError, match=r"should hold tensors\. Found a ndarray at `head.bias`"):
        model.load_state_dict(other)
    for key, value in model.state_dict().items():
        assert value.equal(before[key])
