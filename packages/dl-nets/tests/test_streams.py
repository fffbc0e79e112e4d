from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.learning.streams import load_module_state, module_state


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def train(module: nn.Module, first: int, last: int) -> None:
    for number in range(first, last):
        inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        module.zero_grad()
        module(inputs).square().sum().backward()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter -= 0.01 * parameter.grad


def test_training_continues_to_the_last_bit_after_a_round_trip() -> None:
    straight, interrupted, continued = small(), small(), small()
    interrupted.load_state_dict(straight.state_dict())
    train(straight, 0, 6)
    train(interrupted, 0, 3)
    state = module_state(interrupted)
    train(interrupted, 3, 5)  # the state is a copy, which does not follow
    load_module_state(continued, state)
    train(continued, 3, 6)
    expected, got = module_state(straight), module_state(continued)
    assert expected.keys() == got.keys()
    assert all(np.array_equal(expected[key], got[key]) for key in expected)


def test_the_halved_precision_that_numpy_lacks_keeps_its_bits() -> None:
    module, other = nn.Linear(3, 2).to(torch.bfloat16), nn.Linear(3, 2).to(torch.bfloat16)
    load_module_state(other, module_state(module))
    assert torch.equal(other.weight, module.weight)
    assert other.weight.dtype == torch.bfloat16


def test_loading_keeps_the_very_parameters_that_an_optimizer_holds() -> None:
    module = small()
    before = [id(parameter) for parameter in module.parameters()]
    load_module_state(module, module_state(small()))
    assert [id(parameter) for parameter in module.parameters()] == before


def test_the_state_of_another_network_is_refused_by_name_and_shape() -> None:
    with pytest.raises(ValueError, match=r"lacks \['1.bias'.*and has \['bias', 'weight'\] instead; use the run's own recipe"):
        load_module_state(small()[1:], module_state(nn.Linear(3, 4)))
    with pytest.raises(ValueError, match=r"saved weight has shape \[2, 3\]; this network's has \[4, 3\]"):
        load_module_state(nn.Linear(3, 4), module_state(nn.Linear(3, 2)))
