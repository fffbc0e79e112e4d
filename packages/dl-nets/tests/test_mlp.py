from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.networks.mlp import MLP, MLPConfig

INPUT, OUTPUT = spaces.Box(-1.0, 1.0, (4,)), spaces.Discrete(3)


def build(seed: int = 0, **config: object) -> nn.Module:
    return MLP(MLPConfig(**config)).build(INPUT, OUTPUT, np.random.default_rng(seed))


def test_its_layers_stand_in_the_order_of_their_use() -> None:
    kinds = [type(layer) for layer in build(hidden=(8, 5), activation="relu").layers]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    kinds = [type(layer).__name__ for layer in build(hidden=(8,), layer_norm=True, dropout=0.1).layers]
    assert kinds == ["Linear", "LayerNorm", "Tanh", "Dropout", "Linear"]


def test_its_parameters_are_as_many_as_paper_and_pencil_say() -> None:
    parameters = sum(parameter.numel() for parameter in build(hidden=(8, 5)).parameters())
    assert parameters == (4 * 8 + 8) + (8 * 5 + 5) + (5 * 3 + 3)


def test_without_hidden_layers_it_is_linear() -> None:
    module = build(hidden=())
    first, second = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(first) + module(second), module(first + second))


@pytest.mark.usefixtures("global_generators_stay")
def test_a_seed_gives_the_same_bits_and_the_global_generators_stay() -> None:
    inputs = torch.linspace(-1, 1, 8).reshape(2, 4)
    assert torch.equal(build(1)(inputs), build(1)(inputs))
    assert not torch.equal(build(1)(inputs), build(2)(inputs))


def test_gains_scale_the_first_weights() -> None:
    small, large = build(output_gain=0.01), build(output_gain=1.0)
    torch.testing.assert_close(small.layers[-1].weight * 100, large.layers[-1].weight)
    assert torch.linalg.svdvals(build(hidden=(3,), hidden_gain=2.0).layers[0].weight).tolist() == pytest.approx([2.0] * 3)


def test_every_parameter_gets_a_gradient() -> None:
    module = build(hidden=(8, 8), layer_norm=True, dropout=0.2)
    module(torch.linspace(-1, 1, 40).reshape(10, 4)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())


def test_a_permuted_batch_gives_a_permuted_result_and_a_batch_of_one_is_the_single_case() -> None:
    module, inputs = build(layer_norm=True), torch.linspace(-1, 1, 40).reshape(10, 4)
    order = torch.tensor(np.random.default_rng(0).permutation(10))
    torch.testing.assert_close(module(inputs)[order], module(inputs[order]))
    torch.testing.assert_close(module(inputs[3:4])[0], module(inputs)[3])


def test_it_reads_images_and_discrete_inputs_and_answers_in_boxes() -> None:
    images = MLP(MLPConfig()).build(spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Box(-1, 1, (2, 2)), np.random.default_rng(0))
    assert images(torch.zeros(5, 8, 8, 3, dtype=torch.uint8)).shape == (5, 4)
    states = MLP(MLPConfig(hidden=())).build(spaces.Discrete(6), OUTPUT, np.random.default_rng(0))
    assert torch.equal(states(torch.tensor([4])), states.layers[0].weight[:, 4][None])  # a table of states


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hidden": (8, 0)}, r"hidden is \[8, 0\]; it must be >= 1"),
        ({"output_gain": 0.0}, r"output_gain is 0\.0; it must be > 0"),
        ({"hidden_gain": -1.0}, r"hidden_gain is -1\.0; it must be > 0"),
        ({"dropout": 1.0}, r"dropout is 1\.0; it must be in \[0, 1\)"),
    ],
)
def test_a_config_out_of_range_is_refused_in_words(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MLPConfig(**config)


def test_a_deep_perceptron_adds_the_inputs_of_each_normalised_layer_to_its_outputs() -> None:
    module = build(hidden=(6, 6), activation="relu", batch_norm=True, residual=True).train()
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(10, 4)), dtype=torch.float32)
    first, norm, _, block, last = module.layers
    seen = first(inputs)
    seen = ((seen - seen.mean(0)) / (seen.var(0, unbiased=False) + norm.eps).sqrt()).relu()
    inner = block[0](seen)
    seen = seen + ((inner - inner.mean(0)) / (inner.var(0, unbiased=False) + norm.eps).sqrt()).relu()
    torch.testing.assert_close(module(inputs), last(seen))
    assert torch.isfinite(module(inputs[:1])).all()  # a batch of one has no deviation
    with pytest.raises(ValueError, match="a layer is normalised in one way at most"):
        build(layer_norm=True, batch_norm=True)


def test_inputs_are_left_out_while_training_alone() -> None:
    network = MLP(MLPConfig(hidden=(), input_dropout=0.5))
    module = network.build(spaces.Box(-9, 9, (2,), np.float32), spaces.Discrete(2), np.random.default_rng(0))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0 if parameter.ndim == 2 else 0.0)
    assert set(module(torch.ones(64, 2)).flatten().tolist()) == {0.0, 2.0, 4.0}  # of two ones, each doubled or left out
    assert module.eval()(torch.ones(1, 2)).tolist() == [[2.0, 2.0]]
