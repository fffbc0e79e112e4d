from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.networks.spaces import Features, image_shape, output_size


def test_each_output_space_has_its_size() -> None:
    assert output_size(spaces.Discrete(4, start=1)) == 4
    assert output_size(spaces.Box(-1.0, 1.0, (2, 3))) == 6
    assert output_size(spaces.MultiBinary(5)) == 5


def test_an_output_space_that_no_network_answers_in_is_refused() -> None:
    with pytest.raises(ValueError, match=r"output space is Text.*answers in Discrete, Box, MultiBinary or MultiDiscrete"):
        output_size(spaces.Text(5))


def test_discrete_inputs_become_one_hot_from_where_they_start() -> None:
    features = Features(spaces.Discrete(3, start=5))
    assert features.size == 3
    assert features(torch.tensor([5, 7])).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_several_discrete_inputs_become_one_hot_side_by_side() -> None:
    features = Features(spaces.MultiDiscrete([2, 3]))
    assert features.size == 5
    assert features(torch.tensor([[1, 0], [0, 2]])).tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]


def test_boxes_are_flattened_in_order_and_only_bytes_are_scaled() -> None:
    floats = Features(spaces.Box(0, 255, (2, 2), np.float32))
    assert floats(torch.tensor([[[1.0, 2.0], [3.0, 255.0]]])).tolist() == [[1.0, 2.0, 3.0, 255.0]]
    pixels = Features(spaces.Box(0, 255, (1, 2, 1), np.uint8))
    assert pixels(torch.tensor([[[[0], [255]]]], dtype=torch.uint8)).tolist() == [[0.0, 1.0]]


def test_an_input_space_that_no_network_reads_is_refused() -> None:
    with pytest.raises(ValueError, match=r"input space is Text.*reads Discrete, MultiDiscrete, MultiBinary or Box"):
        Features(spaces.Text(5))
    with pytest.raises(ValueError, match=r"must be one row \[n\] that counts from 0"):
        Features(spaces.MultiDiscrete([[2, 3], [2, 3]]))


def test_what_is_no_image_or_too_small_a_one_is_refused_with_the_network_that_takes_it() -> None:
    assert image_shape(spaces.Box(0, 1, (9, 8, 3)), least=8) == (9, 8, 3)
    with pytest.raises(ValueError, match=r"\[height, width, channels\]; network mlp takes any Box"):
        image_shape(spaces.Box(0, 1, (8, 8)))
    with pytest.raises(ValueError, match="image is 8 x 7; it must be at least 8 x 8; network mlp takes any size"):
        image_shape(spaces.Box(0, 1, (8, 7, 1)), least=8)


@pytest.mark.parametrize("network", ["mlp", "cnn", "lstm"])
def test_bytes_are_scaled_from_the_bounds_of_their_space(network: str) -> None:
    from dl_nets.networks.cnn import CNN, CNNConfig
    from dl_nets.networks.mlp import MLP, MLPConfig
    from dl_nets.networks.recurrent import RecurrentConfig, RecurrentNetwork

    shapes = {"mlp": (9,), "cnn": (8, 8, 1), "lstm": (4, 3)}
    builder = {"mlp": MLP(MLPConfig()), "cnn": CNN(CNNConfig()), "lstm": RecurrentNetwork(RecurrentConfig("lstm", units=4))}[network]
    outputs = []
    for low, high in ((0, 2), (0, 255), (100, 102)):
        module = builder.build(spaces.Box(low, high, shapes[network], np.uint8), spaces.Discrete(2), np.random.default_rng(0))
        board = np.full((1, *shapes[network]), high, np.uint8)
        board[:, ::2] = low
        outputs.append(module(torch.from_numpy(board)))
        assert not any("scale" in name for name in module.state_dict())
    assert torch.allclose(outputs[0], outputs[1])
    assert torch.allclose(outputs[0], outputs[2])
