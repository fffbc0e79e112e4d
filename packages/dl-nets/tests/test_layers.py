from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.learning.streams import load_module_state, module_state
from dl_nets.networks.layers import Dropout, activation


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


@pytest.mark.parametrize(
    ("name", "at_minus_one"), [("tanh", -0.7616), ("relu", 0.0), ("gelu", -0.1587), ("silu", -0.2689), ("elu", -0.6321)]
)
def test_activations_have_their_known_values_at_minus_one(name: str, at_minus_one: float) -> None:
    assert activation(name)(torch.tensor(-1.0)).item() == pytest.approx(at_minus_one, abs=1e-4)
