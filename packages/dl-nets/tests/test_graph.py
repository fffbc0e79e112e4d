"""Graphs of layers with several inputs and outputs, learned with a loss for each output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.learning.several_outputs import rule_of
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.graph import GraphConfig, GraphNetwork
from dl_nets.networks.initialisation import linear
from dl_nets.tasks.digit_pairs import DigitPairs, DigitPairsConfig
from rl_core.config import configclass
from rl_core.network import Network
from rl_core.seeds import Seeds

IMAGE = spaces.Box(0.0, 1.0, (4, 4, 1), np.float32)
GIVEN = spaces.Dict(left=IMAGE, right=IMAGE)
WANTED = spaces.Dict(kind=spaces.Discrete(3), size=spaces.Box(-1.0, 1.0, (1,), np.float32))
LAYERS: dict[str, Any] = {  # not in the order of their use
    "code": {"from": "both", "kind": "dense", "units": 5, "activation": "relu"},
    "other": {"from": "right", "like": "one"},
    "one": {"from": "left", "kind": "dense", "units": 2},
    "both": {"from": ["one", "other"], "kind": "concat"},
}


def _graph(layers: dict[str, Any], outputs: dict[str, str] | None = None) -> nn.Module:
    return GraphNetwork(GraphConfig(layers=layers, outputs=outputs or {})).build(GIVEN, WANTED, np.random.default_rng(0))


def test_layers_compute_what_their_names_say_and_share_weights() -> None:
    graph: Any = _graph(LAYERS)
    left, right = torch.rand(3, 4, 4, 1), torch.rand(3, 4, 4, 1)
    one = graph.layers["one"][-1]
    both = torch.cat([one(left.flatten(1)), one(right.flatten(1))], dim=1)
    code = torch.relu(graph.layers["code"][0](both))
    outputs = graph({"left": left, "right": right})
    torch.testing.assert_close(outputs["kind"], graph.outputs["kind"](code))
    torch.testing.assert_close(outputs["size"], graph.outputs["size"](code))
    assert sum(parameter.numel() for parameter in graph.parameters()) == 34 + 25 + 18 + 6


def test_the_first_weights_do_not_depend_on_the_order_of_the_layers() -> None:
    one, other = _graph(LAYERS).state_dict(), _graph(dict(sorted(LAYERS.items()))).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_convolutions_recurrences_and_tokens_have_layers() -> None:
    given = spaces.Dict(picture=IMAGE, words=spaces.MultiDiscrete([7] * 5), series=spaces.Box(-1, 1, (6, 2), np.float32))
    layers: dict[str, Any] = {
        "a": {"from": "picture", "kind": "convolution", "units": 3, "batch_norm": True},
        "b": {"from": "a", "kind": "pool"},
        "c": {"from": "b", "kind": "flatten"},
        "d": {"from": "words", "kind": "embedding", "units": 4},
        "e": {"from": "d", "kind": "recurrent", "units": 6, "bidirectional": True},
        "f": {"from": "series", "kind": "recurrent", "units": 12, "cell": "lstm"},
        "g": {"from": ["e", "f"], "kind": "add"},
        "h": {"from": ["c", "g"], "kind": "concat"},
    }
    graph = GraphNetwork(GraphConfig(layers=layers)).build(given, spaces.Discrete(2), np.random.default_rng(0))
    inputs = {"picture": torch.rand(3, 4, 4, 1), "words": torch.randint(0, 7, (3, 5)), "series": torch.rand(3, 6, 2)}
    assert graph(inputs).shape == (3, 2)
    assert graph.layers["a"][1].num_batches_tracked == 1  # not moved when the graph was built


@pytest.mark.parametrize(
    ("layers", "outputs", "message"),
    [
        ({"a": {"from": "middle", "kind": "dense"}}, {}, r"layer a reads 'middle'; expected an input \(left, right\)"),
        ({"a": {"from": "left", "kind": "dens"}}, {}, "layer a has the kind 'dens'; expected dense"),
        ({"a": {"from": "left", "kind": "dense", "unit": 3}}, {}, "no setting 'unit'; did you mean units"),
        ({"a": {"from": "left", "kind": "dense", "units": "x"}}, {}, "units = 'x'; expected a whole number"),
        ({"a": {"from": ["left", "right"], "kind": "dense"}}, {}, "put a layer of kind concat before it"),
        ({"a": {"from": "b", "kind": "flatten"}, "b": {"from": "a", "kind": "flatten"}}, {}, "a, b read each other in a circle"),
        ({"a": {"from": "left", "kind": "dense"}}, {}, "no layer reads the input right"),
        ({"a": {"from": "left", "kind": "flatten"}, "b": {"from": "right", "kind": "flatten"}}, {}, "the graph ends in a, b"),
        ({**LAYERS, "add": {"from": ["one", "code"], "kind": "add"}}, {}, r"layer add cannot add the shapes \[\[2\], \[5\]\]"),
        (
            {**LAYERS, "x": {"from": "one", "kind": "pool"}},
            {"kind": "x", "size": "code"},
            r"layer x is a pool, which reads images, but one has the shape \[2\]",
        ),
        (LAYERS, {"size": "nowhere"}, "output size reads 'nowhere'"),
        (LAYERS, {"colour": "code"}, "outputs names 'colour', which the task does not ask for"),
    ],
)
def test_mistakes_name_the_layer(layers: dict[str, Any], outputs: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _graph(layers, outputs)


def test_the_loss_is_the_weighted_sum_of_those_of_the_answers() -> None:
    config = SupervisedConfig(losses={"size": "absolute-error"}, loss_weights={"size": 0.5})
    rule: Any = rule_of(WANTED, config, lambda _: np.array([[-2.0], [2.0]]), torch.device("cpu"))  # deviation 2
    outputs = {"kind": torch.tensor([[0.0, 0.0, 0.0]]), "size": torch.tensor([[0.0]])}
    loss = rule.losses(outputs, {"kind": torch.tensor([1]), "size": torch.tensor([[1.0]])})
    assert loss.tolist() == pytest.approx([np.log(3.0) + 0.5 * 0.5])
    assert rule.answers(outputs)["size"].tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"losses": {"color": "hinge"}}, "losses names 'color'; expected some of kind, size"),
        ({"losses": {"kind": "huber"}}, "of the answer kind: loss is 'huber', but the task asks for classes"),
        ({"loss": "hinge"}, "loss is 'hinge', but the task asks for kind, size"),
        ({"loss_weights": {"kind": 0.0, "size": 0.0}}, "leave at least one above 0"),
    ],
)
def test_losses_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule_of(WANTED, SupervisedConfig(**settings), lambda _: np.zeros((2, 1)), torch.device("cpu"))


@configclass
class EmptyConfig:
    """An empty config."""


class TwoHeads(nn.Module):
    """A module of one's own: both images read by the same layer, two answers."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.code, self.larger, self.sum = linear(64, 16, rng), linear(32, 3, rng), linear(32, 1, rng)

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        both = torch.cat([torch.relu(self.code(inputs[side].flatten(1))) for side in ("left", "right")], dim=1)
        return {"larger": self.larger(both), "sum": self.sum(both)}


class TwoHeadsNetwork(Network):
    """Builder of `TwoHeads`."""

    Config = EmptyConfig

    def build(self, input_space: spaces.Space[Any], output_space: spaces.Space[Any], rng: np.random.Generator) -> nn.Module:
        return TwoHeads(rng)


def test_a_module_of_ones_own_learns_both_answers_and_continues_with_its_statistics() -> None:
    task = DigitPairs(DigitPairsConfig(pairs=600, held_out=100))

    def agent() -> Supervised:
        return Supervised(
            SupervisedConfig(learning_rate=0.01), task, TwoHeadsNetwork(EmptyConfig()), seeds=Seeds(0), budget=10_500, device="cpu"
        )

    first = agent()
    seen: dict[str, float] = {}
    while first.progress < 10_500:
        seen |= first.step()
    scores = first.evaluate(episodes=1, seeds=Seeds(0))
    assert scores["larger accuracy"] > 0.6  # the largest class has less than half
    assert scores["sum r2"] > 0.2
    assert {"validation_larger_accuracy", "validation_sum_r2"} <= set(seen)
    again = agent()
    again.load_state_dict(first.state_dict())
    inputs, _ = task.read("test", np.arange(5))
    np.testing.assert_array_equal(again.predict(inputs)["sum"], first.predict(inputs)["sum"])
