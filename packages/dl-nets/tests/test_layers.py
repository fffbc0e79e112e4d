from __future__ import annotations

import copy
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.learning.streams import load_module_state, module_state
from dl_nets.networks.layers import Activation, Dropout, activation


@pytest.mark.usefixtures("global_generators_stay")
def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    thinned = Dropout(0.25, np.random.default_rng(0))(torch.ones(40_000))
    assert (thinned == 0).float().mean().item() == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 40_000) ** 0.5)
    assert sorted(set(thinned.tolist())) == pytest.approx([0.0, 4 / 3])


def test_masks_differ_from_one_call_to_the_next_and_from_one_layer_to_the_next() -> None:
    rng = np.random.default_rng(0)
    first, second = Dropout(0.5, rng), Dropout(0.5, rng)
    masks = [layer(torch.ones(200)) for layer in (first, first, second, second)]
    agreements = [(masks[i] == masks[j]).float().mean().item() for i in range(4) for j in range(i)]
    assert all(0.3 < agreement < 0.7 for agreement in agreements)


def test_a_restored_dropout_goes_on_with_the_mask_that_would_have_come() -> None:
    layer = nn.Sequential(Dropout(0.5, np.random.default_rng(0)))
    layer(torch.ones(50))
    state = module_state(layer)
    expected = layer(torch.ones(50))
    restored = nn.Sequential(Dropout(0.5, np.random.default_rng(9)))
    load_module_state(restored, state)
    assert torch.equal(restored(torch.ones(50)), expected)


def test_looking_at_a_network_does_not_move_its_masks() -> None:
    layer = Dropout(0.5, np.random.default_rng(0))
    twin = copy.deepcopy(layer)
    assert torch.equal(layer.eval()(torch.ones(50)), torch.ones(50))
    assert torch.equal(layer.train()(torch.ones(50)), twin(torch.ones(50)))


def test_a_rate_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dropout is 1\.0; it must be in \[0, 1\)"):
        Dropout(1.0, np.random.default_rng(0))


KNOWN = {  # at -1 and at 2, from each function's definition
    "tanh": (-0.7616, 0.9640), "relu": (0.0, 2.0), "gelu": (-0.1587, 1.9545), "silu": (-0.2689, 1.7616), "elu": (-0.6321, 2.0),
    "sigmoid": (0.2689, 0.8808), "leaky-relu": (-0.01, 2.0), "softmax": (0.0474, 0.9526), "swish": (-0.2689, 1.7616),
    "celu": (-0.6321, 2.0), "hardshrink": (-1.0, 2.0), "hardsigmoid": (0.3333, 0.8333), "hardswish": (-0.3333, 1.6667),
    "hardtanh": (-1.0, 1.0), "identity": (-1.0, 2.0), "log-sigmoid": (-1.3133, -0.1269), "log-softmax": (-3.0486, -0.0486),
    "mish": (-0.3034, 1.9440), "prelu": (-0.25, 2.0), "relu6": (0.0, 2.0), "selu": (-1.1113, 2.1014), "softmin": (0.9526, 0.0474),
    "softplus": (0.3133, 2.1269), "softshrink": (-0.5, 1.5), "softsign": (-0.5, 0.6667),
    "step": (0.0, 1.0), "tanhshrink": (-0.2384, 1.0360),
}  # fmt: skip


def test_every_activation_has_its_known_values() -> None:
    assert KNOWN.keys() == set(get_args(Activation))
    for name, values in KNOWN.items():
        assert activation(name)(torch.tensor([-1.0, 2.0])).tolist() == pytest.approx(values, abs=1e-4), name
    with pytest.raises(ValueError, match="activation is 'rely'; it must be one of tanh, relu"):
        activation("rely")


def test_softmax_goes_over_the_channels_of_images() -> None:
    assert torch.equal(activation("softmax")(torch.zeros(1, 2, 3, 3)), torch.full((1, 2, 3, 3), 0.5))
